#include "trainer/evaluation/pictures/pictures_description.h"

#include "absl/strings/str_cat.h"

namespace ddgan {

std::string ModelPicturesDescription(const ModelIdentity& identity,
                                     const std::string& sampler,
                                     uint64_t seed) {
  return absl::StrCat(
      "model ", identity.model, "/", identity.version, " of digest ",
      identity.digest, ", ",
      sampler.empty() ? "its own sampler" : absl::StrCat("sampler ", sampler),
      ", seed ", seed);
}

}  // namespace ddgan
