// CIFAR-10 from its binary version. No LibTorch.
#ifndef DDGAN_TRAINER_DATASET_CIFAR10_DATASET_H_
#define DDGAN_TRAINER_DATASET_CIFAR10_DATASET_H_

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

// 32x32 RGB, all held in memory (154 MB for the training split).
class Cifar10Dataset : public ImageDataset {
 public:
  enum class Split {
    kTrain,  // data_batch_1.bin to data_batch_5.bin, in this order
    kTest,   // test_batch.bin
  };

  // Reads the split's files in `folder`, or, if it has none of them, in the
  // folder cifar-10-batches-bin within, as the published archive unpacks. Files
  // of any number of records are read, up to 1,000,000 each.
  //   NotFound         a file is missing
  //   InvalidArgument  a file is not of records of 3073 bytes, has none or too
  //                    many, or a record's label, its first byte, is above 9
  static absl::StatusOr<std::unique_ptr<Cifar10Dataset>> Load(
      const std::filesystem::path& folder, Split split = Split::kTrain);

  size_t size() const override;
  const ImageShape& shape() const override { return shape_; }
  absl::Status Image(size_t index, absl::Span<uint8_t> pixels) const override;

 private:
  explicit Cifar10Dataset(std::vector<uint8_t> records);

  const ImageShape shape_;
  const std::vector<uint8_t> records_;  // [size(), 1 + 3 * 32 * 32]
};

}  // namespace ddgan

#endif  // DDGAN_TRAINER_DATASET_CIFAR10_DATASET_H_
