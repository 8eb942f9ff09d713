#include "server/calls/png_provenance.h"

#include <cstddef>

#include "absl/strings/str_cat.h"

namespace ddgan {
namespace {

constexpr size_t kIndexPlace = 5;

}  // namespace

PngProvenance::PngProvenance(const ModelIdentity& identity, uint64_t seed,
                             int steps)
    : call_({{"Software", "ddgan-serve"},
             {"ddgan:model", identity.model},
             {"ddgan:version", absl::StrCat(identity.version)},
             {"ddgan:digest", identity.digest},
             {"ddgan:seed", absl::StrCat(seed)},
             {"ddgan:index", ""},
             {"ddgan:steps", absl::StrCat(steps)}}) {}

std::vector<PngText> PngProvenance::OfImage(uint32_t index) const {
  std::vector<PngText> text = call_;
  text[kIndexPlace].value = absl::StrCat(index);
  return text;
}

std::vector<PngText> PngProvenance::OfPreview(uint32_t index, int t) const {
  std::vector<PngText> text = OfImage(index);
  text.push_back({"ddgan:step", absl::StrCat(t)});
  return text;
}

}  // namespace ddgan
