// 8-bit rows to PNG bytes with libpng. No LibTorch.
#ifndef DDGAN_ENGINE_IMAGING_PNG_ENCODER_H_
#define DDGAN_ENGINE_IMAGING_PNG_ENCODER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "engine/api/generation.h"

namespace ddgan {

// One tEXt chunk.
struct PngText {
  std::string key;    // Latin-1, 1 to 79 printable bytes.
  std::string value;  // Latin-1, any length, no zero byte.
};

struct PngOptions {
  // zlib level, 0 (none) to 9 (smallest).
  int compression_level = 6;
  // Written before the pixels, in this order, not compressed.
  std::vector<PngText> text;
};

// `pixels` are interleaved rows (H, W, C), shape.channels 1 (gray) or 3 (RGB).
// Equal input gives equal bytes. Thread-safe.
// InvalidArgument if sizes disagree, the image is empty, or an option is out of
// range.
absl::StatusOr<std::string> EncodePng(absl::Span<const uint8_t> pixels,
                                      const ImageShape& shape,
                                      const PngOptions& options = {});

}  // namespace ddgan

#endif  // DDGAN_ENGINE_IMAGING_PNG_ENCODER_H_
