#include "trainer/evaluation/pictures/pictures_description.h"

#include "absl/strings/str_cat.h"
#include "engine/base/sha256.h"

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

std::string ServerPicturesDescription(const ModelIdentity& identity,
                                      uint64_t seed,
                                      std::string_view first_image) {
  return absl::StrCat(ModelPicturesDescription(identity, "", seed),
                      ", by a server whose first image has digest ",
                      Sha256Hex(first_image));
}

}  // namespace ddgan
