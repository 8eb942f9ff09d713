#include "server/calls/guide_conversion.h"

#include <limits>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "engine/imaging/png_decoder.h"

namespace ddgan {

absl::StatusOr<Guide> ConvertGuide(const v1::Guide& guide) {
  if (guide.steps() < 1 || guide.steps() > std::numeric_limits<int>::max()) {
    return absl::InvalidArgumentError(
        absl::StrCat("guide.steps: ", guide.steps(),
                     " is out of range [1, T], T being the model's"));
  }
  if (!v1::GuideFit_IsValid(guide.fit())) {
    return absl::InvalidArgumentError(absl::StrCat(
        "guide.fit: ", static_cast<int>(guide.fit()), " is out of range [",
        v1::GuideFit_MIN, ", ", v1::GuideFit_MAX, "] of GuideFit"));
  }
  absl::StatusOr<Picture> picture = DecodePng(guide.png());
  if (!picture.ok()) {
    return absl::Status(
        picture.status().code(),
        absl::StrCat("guide.png: ", picture.status().message()));
  }
  Guide converted;
  converted.picture = std::make_shared<const Picture>(*std::move(picture));
  converted.steps = static_cast<int>(guide.steps());
  converted.fit = guide.fit() == v1::GUIDE_FIT_RESIZE ? GuideFit::kResize
                                                      : GuideFit::kRefuse;
  return converted;
}

}  // namespace ddgan
