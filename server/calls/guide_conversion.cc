#include "server/calls/guide_conversion.h"

#include <limits>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "engine/imaging/png_decoder.h"

namespace ddgan {
namespace {

absl::Status OfPng(const absl::Status& status) {
  return absl::Status(status.code(),
                      absl::StrCat("guide.png: ", status.message()));
}

}  // namespace

absl::StatusOr<Guide> ConvertGuide(const v1::Guide& guide) {
  if (guide.steps() < 1 || guide.steps() > std::numeric_limits<int>::max()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "guide.steps: ", guide.steps(),
        " is out of range [1, N], N being the model's evaluations"));
  }
  if (!v1::GuideFit_IsValid(guide.fit())) {
    return absl::InvalidArgumentError(absl::StrCat(
        "guide.fit: ", static_cast<int>(guide.fit()), " is out of range [",
        v1::GuideFit_MIN, ", ", v1::GuideFit_MAX, "] of GuideFit"));
  }
  const absl::StatusOr<ImageShape> shape = ReadPngShape(guide.png());
  if (!shape.ok()) return OfPng(shape.status());
  Guide converted;
  converted.steps = static_cast<int>(guide.steps());
  converted.fit = guide.fit() == v1::GUIDE_FIT_RESIZE ? GuideFit::kResize
                                                      : GuideFit::kRefuse;
  converted.picture_bytes =
      int64_t{shape->channels} * shape->height * shape->width;
  return converted;
}

absl::StatusOr<Picture> DecodeGuide(const v1::Guide& guide) {
  absl::StatusOr<Picture> picture = DecodePng(guide.png());
  if (!picture.ok()) return OfPng(picture.status());
  return picture;
}

}  // namespace ddgan
