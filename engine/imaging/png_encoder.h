// 8-bit rows to PNG bytes with libpng. No LibTorch.
#ifndef DDGAN_ENGINE_IMAGING_PNG_ENCODER_H_
#define DDGAN_ENGINE_IMAGING_PNG_ENCODER_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "engine/generation.h"

namespace ddgan {

struct PngOptions {
  // zlib level, 0 (none) to 9 (smallest).
  int compression_level = 6;
  // Written as tEXt chunks: keyword (Latin-1, 1 to 79 bytes) and text.
  std::vector<std::pair<std::string, std::string>> text;
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
