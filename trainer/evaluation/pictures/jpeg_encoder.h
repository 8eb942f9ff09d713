// 8-bit rows to a JPEG file with libjpeg-turbo. No LibTorch.
#ifndef DDGAN_TRAINER_EVALUATION_PICTURES_JPEG_ENCODER_H_
#define DDGAN_TRAINER_EVALUATION_PICTURES_JPEG_ENCODER_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "engine/api/generation.h"

namespace ddgan {

// The file that libjpeg writes by its defaults: baseline, the accurate DCT of
// whole numbers, and of RGB the chroma of 2x2 pixels as one (4:2:0). PIL and
// torchvision write such files. `pixels` are interleaved rows, shape.channels 1
// or 3; quality is in [1, 100]. Equal input gives equal bytes. Thread-safe.
//   InvalidArgument    sizes that do not go together
//   ResourceExhausted  out of memory
//   Internal           another error of libjpeg
absl::StatusOr<std::string> EncodeJpeg(absl::Span<const uint8_t> pixels,
                                       const ImageShape& shape, int quality);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_EVALUATION_PICTURES_JPEG_ENCODER_H_
