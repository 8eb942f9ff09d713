#include "server/png_provenance.h"

#include <string>

#include "absl/strings/str_cat.h"

namespace ddgan {
namespace {

// A model's name is a folder's: any bytes. PNG text is Latin-1.
std::string PercentEncoded(const std::string& name) {
  std::string encoded;
  for (const char c : name) {
    if (c >= ' ' && c <= '~' && c != '%') {
      encoded.push_back(c);
    } else {
      absl::StrAppend(
          &encoded, "%",
          absl::Hex(static_cast<unsigned char>(c), absl::kZeroPad2));
    }
  }
  return encoded;
}

}  // namespace

std::vector<PngText> PngProvenance(const ModelIdentity& identity, uint64_t seed,
                                   uint32_t index, int steps) {
  return {{"Software", "ddgan-serve"},
          {"ddgan:model", PercentEncoded(identity.model)},
          {"ddgan:version", absl::StrCat(identity.version)},
          {"ddgan:digest", identity.digest},
          {"ddgan:seed", absl::StrCat(seed)},
          {"ddgan:index", absl::StrCat(index)},
          {"ddgan:steps", absl::StrCat(steps)}};
}

}  // namespace ddgan
