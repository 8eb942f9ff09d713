// PNG bytes from a stranger to 8-bit rows, with libpng. No LibTorch.
#ifndef DDGAN_ENGINE_IMAGING_PNG_DECODER_H_
#define DDGAN_ENGINE_IMAGING_PNG_DECODER_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "absl/status/statusor.h"
#include "engine/api/generation.h"

namespace ddgan {

// What a PNG may ask for. Checked from its size and its first 33 bytes, before
// anything is allocated.
struct PngLimits {
  size_t max_bytes = size_t{1} << 20;
  // Pixels, each at least 1.
  int max_width = 2048;
  int max_height = 2048;
  // Width times height.
  int64_t max_pixels = int64_t{4} << 20;
};

// The shape that DecodePng would give the picture, from the header alone: takes
// no longer for a large picture, and allocates nothing. Thread-safe.
//   InvalidArgument  not the beginning of a PNG, or over a limit
absl::StatusOr<ImageShape> ReadPngShape(std::string_view bytes,
                                        const PngLimits& limits = {});

// Every kind of PNG, interlaced ones too. Gray, with or without alpha, gives 1
// channel; RGB and palette give 3. 16 bits are rounded to the nearest of 8,
// fewer are widened. Alpha and the tRNS chunk are composed over black.
//
// Bytes of any origin are safe. At most the picture, one copy of `bytes` and
// some 100 KiB are held. No more of IDAT is inflated than the picture needs,
// and of the other chunks but PLTE and tRNS only the checksum is looked at:
// there is no colour management, no gamma and no text. What follows IEND is
// ignored.
//
// Blocks for as long as the pixels take to inflate. Thread-safe.
//   InvalidArgument    not a PNG, over a limit, or damaged: a checksum that
//                      does not fit, data that is missing or left over, or
//                      anything else that libpng would at least warn of
//   ResourceExhausted  out of memory
//
// `*transparent`, unless it is null, says of a picture whether the file could
// have transparent pixels: whether it has alpha or a tRNS chunk.
absl::StatusOr<Picture> DecodePng(std::string_view bytes,
                                  const PngLimits& limits = {},
                                  bool* transparent = nullptr);

}  // namespace ddgan

#endif  // DDGAN_ENGINE_IMAGING_PNG_DECODER_H_
