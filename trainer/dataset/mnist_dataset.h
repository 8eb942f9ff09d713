// MNIST, and sets in its format (Fashion-MNIST, KMNIST), from IDX files. No
// LibTorch.
#ifndef DDGAN_TRAINER_DATASET_MNIST_DATASET_H_
#define DDGAN_TRAINER_DATASET_MNIST_DATASET_H_

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

namespace ddgan {

// All images are held in memory (47 MB for the training split). The digits of
// 28x28 are given as 32x32: two rows and columns of zeros on every side, as in
// the published training code.
class MnistDataset : public ImageDataset {
 public:
  enum class Split {
    kTrain,  // train-images-idx3-ubyte
    kTest,   // t10k-images-idx3-ubyte
  };

  // Reads the split's image file in `folder`; where it is missing, the same
  // name with .gz. The content decides whether it is unpacked, not the name.
  //   NotFound         neither file is there
  //   InvalidArgument  not an IDX file of 28x28 8-bit images, or none in it
  //   DataLoss         shorter or longer than its header says, or damaged gzip
  static absl::StatusOr<std::unique_ptr<MnistDataset>> Load(
      const std::filesystem::path& folder, Split split = Split::kTrain);

  size_t size() const override;
  const ImageShape& shape() const override { return shape_; }
  absl::Status Image(size_t index, absl::Span<uint8_t> pixels) const override;

 private:
  explicit MnistDataset(std::vector<uint8_t> digits);

  const ImageShape shape_;
  const std::vector<uint8_t> digits_;  // [size(), 28, 28]
};

// Which digit each image of the split shows, in the images' order: values
// 0 to 9. For evaluation; training needs no labels. Looks for
// train-labels-idx1-ubyte or t10k-labels-idx1-ubyte in `folder`, with or
// without .gz, and fails as MnistDataset::Load does; InvalidArgument also for a
// label above 9.
absl::StatusOr<std::vector<uint8_t>> LoadMnistLabels(
    const std::filesystem::path& folder,
    MnistDataset::Split split = MnistDataset::Split::kTrain);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_DATASET_MNIST_DATASET_H_
