// A guide's picture: the PNG of a request, and what the generator gets of it.
#include <cmath>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "ddgan/v1/image_generation.pb.h"
#include "engine/imaging/guide_picture.h"
#include "server/calls/guide_conversion.h"
#include "tests/fuzz/fuzz_input.h"

namespace ddgan {
namespace {

void RequireRefused(const absl::Status& status) {
  Require(absl::IsInvalidArgument(status) &&
              absl::StartsWith(status.message(), "guide.png: "),
          "a refused picture is InvalidArgument and names its field");
}

// For a model of each number of channels and another size.
void CheckFit(const Picture& picture) {
  for (const int channels : {1, 3}) {
    const ImageShape model = {channels, 8, 8};
    const auto planes = FitGuide(picture, model, GuideFit::kResize);
    Require(planes.ok() && planes->size() == model.numel(),
            "every picture can be made one of the model's size");
    for (const float value : *planes) {
      Require(std::abs(value) <= 1, "values are in [-1, 1]");
    }
  }
  const ImageShape own = {3, picture.shape.height, picture.shape.width};
  Require(FitGuide(picture, own, GuideFit::kRefuse).ok(),
          "a picture of the model's size is taken as it is");
}

}  // namespace
}  // namespace ddgan

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ddgan::v1::Guide guide;
  guide.set_png(std::string(ddgan::InputText(data, size)));
  guide.set_steps(1);
  const auto converted = ddgan::ConvertGuide(guide);
  if (!converted.ok()) {
    ddgan::RequireRefused(converted.status());
    return 0;
  }
  // What is booked for the picture is what its header says.
  constexpr size_t kLargest = 256 * 256;
  if (converted->picture.numel() > kLargest) return 0;
  const auto picture = ddgan::DecodeGuide(guide);
  if (!picture.ok()) {
    ddgan::RequireRefused(picture.status());
    return 0;
  }
  ddgan::Require(picture->shape == converted->picture &&
                     picture->pixels.size() == picture->shape.numel(),
                 "the picture is as its header says");
  ddgan::CheckFit(*picture);
  return 0;
}
