// What a PNG says of its own origin, so that a file alone is enough to ask for
// the same image again.
#ifndef DDGAN_SERVER_PNG_PROVENANCE_H_
#define DDGAN_SERVER_PNG_PROVENANCE_H_

#include <cstdint>
#include <vector>

#include "engine/generation.h"
#include "engine/imaging/png_encoder.h"

namespace ddgan {

// In this order, numbers in decimal:
//   Software       ddgan-serve
//   ddgan:model    the model's name; % and bytes outside of printable ASCII as
//                  in URLs, %25
//   ddgan:version  of the model
//   ddgan:digest   SHA-256 of the version's manifest.json
//   ddgan:seed     of the noise
//   ddgan:index    of the image
//   ddgan:steps    `steps`, the denoising steps that made the image: the
//   model's
//                  T, or those of its guide
// Nothing else, no time and no build: a PNG's bytes stay a function of the
// checkpoint, the seed, the index and the guide. Pure.
std::vector<PngText> PngProvenance(const ModelIdentity& identity, uint64_t seed,
                                   uint32_t index, int steps);

}  // namespace ddgan

#endif  // DDGAN_SERVER_PNG_PROVENANCE_H_
