// Encoded images as a data set. No LibTorch.
#ifndef DDGAN_TRAINER_DATASET_ENCODED_DATASET_H_
#define DDGAN_TRAINER_DATASET_ENCODED_DATASET_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/span.h"
#include "engine/api/generation.h"
#include "trainer/dataset/encoded/encoded_images.h"
#include "trainer/dataset/encoded/image_decoder.h"
#include "trainer/dataset/image_dataset.h"

namespace ddgan {

// What becomes of pictures that are not RGB, in a set of RGB images.
enum class Conversion {
  kRefuse,  // FailedPrecondition: a model would learn what nobody decided on.
  kToRgb,   // Gray is repeated in all three channels; what has an alpha channel
            // is put on black.
};

// Each image is decoded when it is asked for, then resized and cut: DecodeImage
// and ResizeCrop of image_decoder.h say how, and what each call holds.
class EncodedDataset : public ImageDataset {
 public:
  enum class RawValues {
    kDamaged,
    // Bytes that are no PNG, JPEG or WebP and as many as an image has are its
    // interleaved rows (H, W, C).
    kAllowed,
  };

  // `shape` is a square with 1 or 3 channels; `images` is not null. Gray images
  // are never made of RGB pictures; what has alpha is put on black for them.
  EncodedDataset(std::unique_ptr<const EncodedImages> images,
                 const ImageShape& shape, RawValues raw_values,
                 Conversion conversion);

  size_t size() const override { return images_->size(); }
  const ImageShape& shape() const override { return shape_; }

  // Errors begin with the image's name. Beside those of ImageDataset:
  //   another code  the storage failed, as EncodedImages::Read says
  absl::Status Image(size_t index, absl::Span<uint8_t> pixels) const override;

  // How many different pictures were converted, and how many refused that
  // Conversion::kToRgb would take.
  std::string Remarks() const override;

 private:
  enum Kind { kGray, kAlpha, kGrayAlpha };

  // OK if the picture may be used; counts it once.
  absl::Status Admit(size_t index, const DecodedImage& image) const;
  absl::Status Fit(const Picture& picture, absl::Span<uint8_t> pixels) const;

  const std::unique_ptr<const EncodedImages> images_;
  const ImageShape shape_;
  const RawValues raw_values_;
  const Conversion conversion_;

  mutable absl::Mutex mu_;
  mutable std::array<int64_t, 3> counts_ ABSL_GUARDED_BY(mu_) = {};  // By kind.
  // Images that are in counts_; empty until there is one.
  mutable std::vector<bool> counted_ ABSL_GUARDED_BY(mu_);
};

}  // namespace ddgan

#endif  // DDGAN_TRAINER_DATASET_ENCODED_DATASET_H_
