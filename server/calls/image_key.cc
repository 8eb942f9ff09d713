#include "server/calls/image_key.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace ddgan {

// The name comes last of the texts that may hold any character.
ImageKeys::ImageKeys(const ModelIdentity& identity,
                     const std::vector<v1::OutputFormat>& formats,
                     const std::optional<GuideKey>& guide)
    : call_(absl::StrCat(identity.digest, "/", identity.version, "/",
                         absl::StrJoin(formats, ","), "/")) {
  if (guide.has_value()) {
    absl::StrAppend(&call_, guide->sha256, ",", guide->steps, ",",
                    static_cast<int>(guide->fit));
  }
  absl::StrAppend(&call_, "/", identity.model);
}

std::string ImageKeys::Of(const ImageNoise& noise) const {
  return absl::StrCat(noise.seed, "/", noise.index, "/", call_);
}

}  // namespace ddgan
