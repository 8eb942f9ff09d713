// Encoded images as a data set. No LibTorch.
#ifndef DDGAN_TRAINER_DATASET_ENCODED_DATASET_H_
#define DDGAN_TRAINER_DATASET_ENCODED_DATASET_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "engine/api/generation.h"
#include "trainer/dataset/encoded_images.h"
#include "trainer/dataset/image_dataset.h"

namespace ddgan {

// Each image is decoded when it is asked for, then resized and cut: DecodeImage
// and ResizeCrop of image_decoder.h say how, and what each call holds.
class EncodedDataset : public ImageDataset {
 public:
  enum class RawValues {
    kDamaged,
    // Bytes that are neither PNG nor JPEG and as many as an image has are its
    // interleaved rows (H, W, C).
    kAllowed,
  };

  // `shape` is a square with 1 or 3 channels; `images` is not null.
  EncodedDataset(std::unique_ptr<const EncodedImages> images,
                 const ImageShape& shape, RawValues raw_values);

  size_t size() const override { return images_->size(); }
  const ImageShape& shape() const override { return shape_; }

  // Errors begin with the image's name. Beside those of ImageDataset:
  //   another code  the storage failed, as EncodedImages::Read says
  absl::Status Image(size_t index, absl::Span<uint8_t> pixels) const override;

 private:
  const std::unique_ptr<const EncodedImages> images_;
  const ImageShape shape_;
  const RawValues raw_values_;
};

}  // namespace ddgan

#endif  // DDGAN_TRAINER_DATASET_ENCODED_DATASET_H_
