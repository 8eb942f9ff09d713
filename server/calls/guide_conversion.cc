#include "server/calls/guide_conversion.h"

#include <algorithm>
#include <cstddef>
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

bool IsOneColor(const Picture& picture) {
  const size_t channels = static_cast<size_t>(picture.shape.channels);
  return picture.pixels.size() > channels &&
         std::equal(picture.pixels.begin() + picture.shape.channels,
                    picture.pixels.end(), picture.pixels.begin());
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
  converted.picture = *shape;
  return converted;
}

absl::StatusOr<Picture> DecodeGuide(const v1::Guide& guide) {
  bool transparent = false;
  absl::StatusOr<Picture> picture = DecodePng(guide.png(), {}, &transparent);
  if (!picture.ok()) return OfPng(picture.status());
  // Such as black strokes on nothing. Nobody means that.
  if (transparent && IsOneColor(*picture)) {
    return absl::InvalidArgumentError(
        "guide.png: the picture is one colour once its transparency is "
        "composed over black");
  }
  return picture;
}

}  // namespace ddgan
