#include "trainer/evaluation/pictures/model_picture_source.h"

#include <utility>

#include "trainer/evaluation/pictures/pictures_description.h"

namespace ddgan {

absl::StatusOr<std::unique_ptr<ModelPictureSource>> ModelPictureSource::Create(
    const Checkpoint& checkpoint, ModelPictures::Options options) {
  options.max_batch = kModelBatch;
  absl::StatusOr<std::unique_ptr<ModelPictures>> pictures =
      ModelPictures::Create(checkpoint, options);
  if (!pictures.ok()) return pictures.status();
  return std::unique_ptr<ModelPictureSource>(
      new ModelPictureSource(checkpoint, options, *std::move(pictures)));
}

ModelPictureSource::ModelPictureSource(const Checkpoint& checkpoint,
                                       const ModelPictures::Options& options,
                                       std::unique_ptr<ModelPictures> pictures)
    : description_(ModelPicturesDescription(checkpoint.identity,
                                            options.sampler, options.seed)),
      shape_(ShapeOf(checkpoint.config.model_config)),
      pictures_(std::move(pictures)) {}

absl::StatusOr<std::vector<uint8_t>> ModelPictureSource::Pictures(
    int64_t first, int64_t count) {
  if (absl::Status s = CheckPictureRange(first, count, size()); !s.ok()) {
    return s;
  }
  pictures_->StartAt(static_cast<uint32_t>(first));
  return pictures_->Next(count);
}

}  // namespace ddgan
