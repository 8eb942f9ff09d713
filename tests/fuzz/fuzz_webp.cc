// WebP data of a set.
#include "absl/status/status.h"
#include "tests/fuzz/fuzz_input.h"
#include "trainer/dataset/encoded/webp_decoder.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr int64_t kMaxPixels = 128 * 128;
  const auto webp = ddgan::DecodeWebp(ddgan::InputText(data, size), kMaxPixels);
  if (!webp.ok()) {
    ddgan::Require(absl::IsInvalidArgument(webp.status()) ||
                       absl::IsFailedPrecondition(webp.status()),
                   "a refused WebP is InvalidArgument or FailedPrecondition");
    return 0;
  }
  const ddgan::ImageShape& shape = webp->picture.shape;
  ddgan::Require(int64_t{shape.height} * shape.width <= kMaxPixels,
                 "no more pixels than allowed");
  ddgan::Require(
      webp->picture.pixels.size() == size_t{3} * shape.height * shape.width,
      "as many pixels as the shape has");
  return 0;
}
