// A published version as a source of pictures, made by the engine's own CPU
// sampler. No LibTorch in this header.
#ifndef DDGAN_TRAINER_EVALUATION_PICTURES_MODEL_PICTURE_SOURCE_H_
#define DDGAN_TRAINER_EVALUATION_PICTURES_MODEL_PICTURE_SOURCE_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "engine/api/generation.h"
#include "engine/checkpoint/model_directory.h"
#include "trainer/evaluation/model_pictures.h"
#include "trainer/evaluation/pictures/picture_source.h"

namespace ddgan {

// Most pictures of one call.
inline constexpr int kModelBatch = 64;

// Images 0, 1, ... of one seed.
class ModelPictureSource : public PictureSource {
 public:
  // Fails as ModelPictures::Create does. Sets LibTorch to one thread.
  static absl::StatusOr<std::unique_ptr<ModelPictureSource>> Create(
      const Checkpoint& checkpoint, ModelPictures::Options options);

  const std::string& description() const override { return description_; }
  const ImageShape& shape() const override { return shape_; }
  int64_t size() const override { return int64_t{1} << 32; }
  // Of the generator for each.
  int evaluations() const { return pictures_->evaluations_per_image(); }
  // At most kModelBatch at a time. Fails as ModelPictures::Next does.
  absl::StatusOr<std::vector<uint8_t>> Pictures(int64_t first,
                                                int64_t count) override;

 private:
  ModelPictureSource(const Checkpoint& checkpoint,
                     const ModelPictures::Options& options,
                     std::unique_ptr<ModelPictures> pictures);

  const std::string description_;
  const ImageShape shape_;
  const std::unique_ptr<ModelPictures> pictures_;
};

}  // namespace ddgan

#endif  // DDGAN_TRAINER_EVALUATION_PICTURES_MODEL_PICTURE_SOURCE_H_
