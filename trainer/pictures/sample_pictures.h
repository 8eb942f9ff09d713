// What a network in training makes, as pictures for a person.
#ifndef DDGAN_TRAINER_PICTURES_SAMPLE_PICTURES_H_
#define DDGAN_TRAINER_PICTURES_SAMPLE_PICTURES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/api/generation.h"
#include "trainer/step/denoising_chain.h"

namespace ddgan {

struct NamedPicture {
  std::string name;  // Of a file.
  std::string png;
};

struct SamplePictures {
  std::vector<NamedPicture> files;
  std::string summary;  // One line for a person, or empty.
};

// Images whose steps are shown, at most.
inline constexpr int kStripImages = 8;

// "samples_step_<N>.png", the finished images of the chain as a grid, and
// "denoising_step_<N>.png", x_t and x0' of its first kStripImages at the steps
// that the chain kept, which it did for these at least. The chain is of images
// of `shape`.
absl::StatusOr<SamplePictures> DrawImages(const DenoisingChain& chain,
                                          const ImageShape& shape,
                                          int64_t steps_done);

// "samples_step_<N>.png": points of the 25-Gaussians, then the states of the
// chain, x_T to x_0, each over the rings of the modes; the summary says how
// many modes x_0 covers. The chain is of 25-Gaussians, [count, 2, 1, 1].
absl::StatusOr<SamplePictures> DrawPoints(const DenoisingChain& chain,
                                          int64_t steps_done);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_PICTURES_SAMPLE_PICTURES_H_
