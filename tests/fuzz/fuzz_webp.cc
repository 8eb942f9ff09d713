// WebP data of a set.
#include "absl/status/status.h"
#include "tests/fuzz/fuzz_input.h"
#include "trainer/dataset/encoded/webp_decoder.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto webp = ddgan::DecodeWebp(ddgan::InputText(data, size), 128 * 128);
  if (!webp.ok()) {
    ddgan::Require(absl::IsInvalidArgument(webp.status()) ||
                       absl::IsFailedPrecondition(webp.status()),
                   "a refused WebP is InvalidArgument or FailedPrecondition");
    return 0;
  }
  const ddgan::ImageShape& shape = webp->picture.shape;
  ddgan::Require(
      webp->picture.pixels.size() == size_t{3} * shape.height * shape.width,
      "as many pixels as the shape has");
  return 0;
}
