// WebP bytes from a stranger to 8-bit rows, with libwebp. No LibTorch.
#ifndef DDGAN_TRAINER_DATASET_ENCODED_WEBP_DECODER_H_
#define DDGAN_TRAINER_DATASET_ENCODED_WEBP_DECODER_H_

#include <cstdint>
#include <string_view>

#include "absl/status/statusor.h"
#include "engine/api/generation.h"

namespace ddgan {

// Whether `bytes` begin as a WebP file does.
bool IsWebp(std::string_view bytes);

struct WebpPicture {
  Picture picture;         // 3 channels.
  bool has_alpha = false;  // The file has an alpha channel: put on black.
};

// Lossy and lossless. Gray does not exist in the format. Exif orientation and
// colour profiles are ignored.
//
// Bytes of any origin are safe. Held are the picture, for a lossless one 4
// bytes per pixel more, and as much again where it has alpha. Thread-safe.
//   InvalidArgument     not a WebP file, damaged or cut short
//   FailedPrecondition  sound as far as its header goes, but animated or of
//                       more than max_pixels
//   ResourceExhausted   out of memory
absl::StatusOr<WebpPicture> DecodeWebp(std::string_view bytes,
                                       int64_t max_pixels);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_DATASET_ENCODED_WEBP_DECODER_H_
