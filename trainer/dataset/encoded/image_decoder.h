// Encoded pictures of any size to images of one shape. No LibTorch.
#ifndef DDGAN_TRAINER_DATASET_ENCODED_IMAGE_DECODER_H_
#define DDGAN_TRAINER_DATASET_ENCODED_IMAGE_DECODER_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "engine/api/generation.h"

namespace ddgan {

// Of one encoded picture, in bytes. More is refused before it is read.
inline constexpr size_t kMaxEncodedBytes = size_t{64} << 20;

// Whether `bytes` begin as a PNG, JPEG or WebP file does.
bool IsEncodedImage(std::string_view bytes);

struct DecodedImage {
  Picture picture;
  // The file has an alpha channel or a transparent colour. Such pixels are put
  // on black.
  bool has_alpha = false;
};

// Decodes PNG, JPEG or WebP, told apart by their first bytes and not by a name.
// See engine/imaging/png_decoder.h, jpeg_decoder.h and webp_decoder.h for what
// each supports. A picture may have 1x1 to 16384x16384 pixels and 2^25 (33
// million) in all, so a small file that claims to be large is refused before
// anything is allocated; JPEGs of one scan and up to 2^28 pixels are decoded at
// reduced size. Decoding holds at most some 300 MB.
// What is not in the pixels is ignored: Exif orientation, so photographs should
// be turned beforehand; colour profiles and gamma.
//   DataLoss            damaged, or no picture at all
//   FailedPrecondition  sound, as far as can be seen, but over a limit,
//                       animated, of CMYK colours or of another format, which
//                       is named
//   ResourceExhausted   out of memory
absl::StatusOr<DecodedImage> DecodeImage(std::string_view bytes);

// Makes `pixels`, interleaved rows (shape.height, shape.width, C), of a picture
// with as many channels: its shorter side is resized to the shape's, the longer
// one to the same scale, rounded down, and of that the middle is cut out, of
// two middles the upper or left one.
// Resizing is TriangleResize of engine/imaging/triangle_resize.h, antialiased,
// with one rounding to the nearest byte at the end. PIL and torchvision do the
// same with a rounding after each direction: values differ by at most 1. A
// picture whose shorter side fits is only cut, byte for byte.
//   FailedPrecondition  the picture has another number of channels
//   InvalidArgument     the picture is not of its shape, `shape` is no square
//                       or empty, or `pixels` has another size
absl::Status ResizeCrop(const Picture& picture, const ImageShape& shape,
                        absl::Span<uint8_t> pixels);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_DATASET_ENCODED_IMAGE_DECODER_H_
