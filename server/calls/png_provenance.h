// What a PNG says of its own origin, so that a file alone is enough to ask for
// the same image again.
#ifndef DDGAN_SERVER_CALLS_PNG_PROVENANCE_H_
#define DDGAN_SERVER_CALLS_PNG_PROVENANCE_H_

#include <cstdint>
#include <vector>

#include "engine/api/generation.h"
#include "engine/imaging/png_encoder.h"

namespace ddgan {

// What the PNGs of one call say, in this order, numbers in decimal:
//   Software       ddgan-serve
//   ddgan:model    the model's name
//   ddgan:version  of the model
//   ddgan:digest   SHA-256 of the version's manifest.json
//   ddgan:seed     of the noise
//   ddgan:index    of the image
//   ddgan:steps    denoising steps that make the image
//   ddgan:step     of a preview only: how many steps its image has left; of a
//                  GAN the t of the step that it shows
// Nothing else, no time and no build: a PNG's bytes stay a function of the
// checkpoint, the seed, the index and the guide, and a preview's of its step.
//
// Immutable.
class PngProvenance {
 public:
  // `steps`: the model's evaluations per image, or those of the guide.
  PngProvenance(const ModelIdentity& identity, int steps);

  std::vector<PngText> OfImage(const ImageNoise& noise) const;
  std::vector<PngText> OfPreview(const ImageNoise& noise, int t) const;

 private:
  std::vector<PngText> call_;  // An image's text, its noise left empty.
};

}  // namespace ddgan

#endif  // DDGAN_SERVER_CALLS_PNG_PROVENANCE_H_
