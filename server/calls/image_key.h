// What an image's bytes are a function of, in one text.
#ifndef DDGAN_SERVER_CALLS_IMAGE_KEY_H_
#define DDGAN_SERVER_CALLS_IMAGE_KEY_H_

#include <optional>
#include <string>
#include <vector>

#include "ddgan/v1/image_generation.pb.h"
#include "engine/api/generation.h"

namespace ddgan {

// A guide: the picture as it was sent, and what becomes of it.
struct GuideKey {
  std::string sha256;  // Of the PNG.
  int steps = 0;
  GuideFit fit = GuideFit::kRefuse;
};

// The keys of one call's images. Two images have the same key only if they have
// the same bytes. The version's digest covers weights, sampler and steps; its
// name and number are in the key because a PNG says them (png_provenance.h).
//
// Immutable.
class ImageKeys {
 public:
  // `formats` as in ConvertedRequest: what is asked for in other formats, or in
  // another order, has another key.
  ImageKeys(const ModelIdentity& identity,
            const std::vector<v1::OutputFormat>& formats,
            const std::optional<GuideKey>& guide);

  std::string Of(const ImageNoise& noise) const;

 private:
  std::string call_;
};

}  // namespace ddgan

#endif  // DDGAN_SERVER_CALLS_IMAGE_KEY_H_
