// What a training loop reads images from. No LibTorch.
#ifndef DDGAN_TRAINER_DATASET_IMAGE_DATASET_H_
#define DDGAN_TRAINER_DATASET_IMAGE_DATASET_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "engine/api/generation.h"

namespace ddgan {

// A fixed sequence of 8-bit images of one shape, without labels.
// Implementations are thread-safe: several threads may fill one batch.
class ImageDataset {
 public:
  virtual ~ImageDataset() = default;

  // Number of images, at least 1.
  virtual size_t size() const = 0;

  virtual const ImageShape& shape() const = 0;

  // Copies image `index` into `pixels` as interleaved rows (H, W, C). Equal
  // calls give equal bytes: random flips are the training loop's affair.
  //   OutOfRange       index >= size()
  //   InvalidArgument  pixels.size() is not channels * height * width
  //   DataLoss         the image on disk is damaged; the others can be read
  //   FailedPrecondition  the image is sound, but not for this set: of other
  //                    channels than shape(), too large, or of a format that
  //                    is not read; the others can be read
  //   another code     reading failed, and may succeed another time
  virtual absl::Status Image(size_t index,
                             absl::Span<uint8_t> pixels) const = 0;

  // What a person should know of the images that were read so far, such as how
  // many were converted; empty if nothing.
  virtual std::string Remarks() const { return ""; }
};

}  // namespace ddgan

#endif  // DDGAN_TRAINER_DATASET_IMAGE_DATASET_H_
