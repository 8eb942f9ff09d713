// JPEG data of a set.
#include "absl/status/status.h"
#include "tests/fuzz/fuzz_input.h"
#include "trainer/dataset/encoded/jpeg_decoder.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr int64_t kMaxPixels = 128 * 128;
  const auto picture = ddgan::DecodeJpeg(ddgan::InputText(data, size),
                                         {.max_side = 256,
                                          .max_pixels = kMaxPixels,
                                          .max_file_pixels = 1024 * 1024,
                                          .max_scans = 20});
  if (!picture.ok()) {
    ddgan::Require(absl::IsInvalidArgument(picture.status()) ||
                       absl::IsFailedPrecondition(picture.status()),
                   "a refused JPEG is InvalidArgument or FailedPrecondition");
    return 0;
  }
  const ddgan::ImageShape& shape = picture->shape;
  ddgan::Require(int64_t{shape.height} * shape.width <= kMaxPixels,
                 "no more pixels than allowed");
  ddgan::Require(picture->pixels.size() ==
                     size_t{1} * shape.channels * shape.height * shape.width,
                 "as many pixels as the shape has");
  return 0;
}
