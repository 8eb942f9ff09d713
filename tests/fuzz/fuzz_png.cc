// PNG data, as guides and as pictures of a set.
#include "absl/status/status.h"
#include "engine/imaging/png_decoder.h"
#include "tests/fuzz/fuzz_input.h"
#include "trainer/dataset/encoded/image_decoder.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes = ddgan::InputText(data, size);
  constexpr int kMaxSide = 256;
  const ddgan::PngLimits limits = {.max_bytes = size_t{1} << 20,
                                   .max_width = kMaxSide,
                                   .max_height = kMaxSide,
                                   .max_pixels = kMaxSide * kMaxSide};
  const auto shape = ddgan::ReadPngShape(bytes, limits);
  const auto picture = ddgan::DecodePng(bytes, limits);
  if (!picture.ok()) {
    ddgan::Require(absl::IsInvalidArgument(picture.status()),
                   "a refused PNG is InvalidArgument");
    return 0;
  }
  ddgan::Require(shape.ok() && *shape == picture->shape,
                 "the header says the shape");
  ddgan::Require(picture->pixels.size() ==
                     size_t{1} * shape->channels * shape->height * shape->width,
                 "as many pixels as the shape has");
  const auto again = ddgan::DecodeImage(bytes);
  ddgan::Require(again.ok() && again->picture.pixels == picture->pixels,
                 "a set's picture is the guide's");
  return 0;
}
