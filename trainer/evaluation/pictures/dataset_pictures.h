// Real pictures, and those of a folder that somebody else made. No LibTorch.
#ifndef DDGAN_TRAINER_EVALUATION_PICTURES_DATASET_PICTURES_H_
#define DDGAN_TRAINER_EVALUATION_PICTURES_DATASET_PICTURES_H_

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "trainer/dataset/image_dataset.h"
#include "trainer/evaluation/pictures/picture_source.h"

namespace ddgan {

// The pictures of a data set, shuffled, always alike: sets often lie sorted by
// class, and the first n pictures of this are then still a fair sample.
class DatasetPictures : public PictureSource {
 public:
  // `description` says which set it is, with its digest.
  DatasetPictures(std::unique_ptr<const ImageDataset> dataset,
                  std::string description);

  const std::string& description() const override { return description_; }
  const ImageShape& shape() const override { return dataset_->shape(); }
  int64_t size() const override {
    return static_cast<int64_t>(dataset_->size());
  }
  // A damaged picture is DataLoss that names it.
  absl::StatusOr<std::vector<uint8_t>> Pictures(int64_t first,
                                                int64_t count) override;

  // Which picture of the data set picture `index` < size() is.
  int64_t DatasetIndex(int64_t index) const {
    return order_[static_cast<size_t>(index)];
  }

 private:
  const std::unique_ptr<const ImageDataset> dataset_;
  const std::string description_;
  const std::vector<uint32_t> order_;
};

// The PNG and JPEG files at `path`, as OpenImageFolder finds them, by ascending
// name. All must be of the first one's shape, which must be a square: a resize
// would be measured, too.
//   InvalidArgument  the first picture is none of a model's shapes
//   what OpenImageFolder and DatasetDigest fail with
// Pictures() is InvalidArgument that names a picture of another shape.
absl::StatusOr<std::unique_ptr<PictureSource>> OpenPictureFolder(
    const std::filesystem::path& path);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_EVALUATION_PICTURES_DATASET_PICTURES_H_
