#include "server/calls/png_provenance.h"

#include <cstddef>

#include "absl/strings/str_cat.h"

namespace ddgan {
namespace {

constexpr size_t kSeedPlace = 4;
constexpr size_t kIndexPlace = 5;

}  // namespace

PngProvenance::PngProvenance(const ModelIdentity& identity, int steps)
    : call_({{"Software", "ddgan-serve"},
             {"ddgan:model", identity.model},
             {"ddgan:version", absl::StrCat(identity.version)},
             {"ddgan:digest", identity.digest},
             {"ddgan:seed", ""},
             {"ddgan:index", ""},
             {"ddgan:steps", absl::StrCat(steps)}}) {}

std::vector<PngText> PngProvenance::OfImage(const ImageNoise& noise) const {
  std::vector<PngText> text = call_;
  text[kSeedPlace].value = absl::StrCat(noise.seed);
  text[kIndexPlace].value = absl::StrCat(noise.index);
  return text;
}

std::vector<PngText> PngProvenance::OfPreview(const ImageNoise& noise,
                                              int t) const {
  std::vector<PngText> text = OfImage(noise);
  text.push_back({"ddgan:step", absl::StrCat(t)});
  return text;
}

}  // namespace ddgan
