// Three MNIST digits as one picture: the data set of 1,000 modes. No LibTorch.
#ifndef DDGAN_TRAINER_DATASET_STACKED_MNIST_DATASET_H_
#define DDGAN_TRAINER_DATASET_STACKED_MNIST_DATASET_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "engine/api/generation.h"
#include "trainer/dataset/image_dataset.h"
#include "trainer/dataset/mnist_dataset.h"

namespace ddgan {

// Makes one picture of several: `pixels`, interleaved rows, gets picture
// `indices[c]` of `gray`, whose images have one channel, as channel c.
// InvalidArgument if `pixels` are not as many bytes as the pictures have; else
// fails as ImageDataset::Image does. Thread-safe.
absl::Status StackPictures(const ImageDataset& gray,
                           absl::Span<const uint32_t> indices,
                           absl::Span<uint8_t> pixels);

// 32x32 RGB, each channel a digit of MNIST's training images. Of N digits there
// are 2N images, 120,000 of 60,000: each channel goes through two permutations
// of the digits, one after the other, which are a function of the seed and of
// nothing else. So each digit is in each channel twice. The published training
// code does the same without a seed, so that no two of its runs saw the same
// images.
class StackedMnistDataset : public ImageDataset {
 public:
  // Fails as MnistDataset::Load does.
  static absl::StatusOr<std::unique_ptr<StackedMnistDataset>> Load(
      const std::filesystem::path& folder, uint64_t seed);

  size_t size() const override { return digits_[0].size(); }
  const ImageShape& shape() const override { return shape_; }
  absl::Status Image(size_t index, absl::Span<uint8_t> pixels) const override;

  // Which mode image `index` < size() is of: 100 d1 + 10 d2 + d3 of the digits
  // in its red, green and blue channel. `digit_labels` are LoadMnistLabels' of
  // the training split, size() / 2 of them.
  int Label(size_t index, absl::Span<const uint8_t> digit_labels) const;

 private:
  StackedMnistDataset(std::unique_ptr<const MnistDataset> mnist, uint64_t seed);

  const std::unique_ptr<const MnistDataset> mnist_;
  const ImageShape shape_;
  std::array<std::vector<uint32_t>, 3> digits_;  // By channel and index.
};

}  // namespace ddgan

#endif  // DDGAN_TRAINER_DATASET_STACKED_MNIST_DATASET_H_
