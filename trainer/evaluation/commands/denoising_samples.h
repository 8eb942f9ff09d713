// What a model makes of a picture on its way to noise: figure 2 of the DDGAN
// paper. No LibTorch in this header.
#ifndef DDGAN_TRAINER_EVALUATION_COMMANDS_DENOISING_SAMPLES_H_
#define DDGAN_TRAINER_EVALUATION_COMMANDS_DENOISING_SAMPLES_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "engine/checkpoint/model_directory.h"

namespace ddgan {

inline constexpr int kLatents = 3;

struct DenoisingSamples {
  std::vector<int> levels;       // 0, ..., T: L + 1, ascending.
  std::vector<uint8_t> chain;    // x at each level: [L + 1, S, S, C].
  std::vector<uint8_t> samples;  // [L, kLatents, S, S, C]
};

// All of 0 to T up to T = 16; else 0 and 16 more, evenly spaced up to T.
std::vector<int> StripLevels(int num_timesteps);

// `picture` is [S, S, C] of the version's shape. x_t is drawn from q(x_t | x_0)
// for each t alone, with the noise of a guide of this seed; x0' = G(x_t, t - 1,
// z) with the latents of images 0, 1 and 2, which for a version that was
// trained to denoise are all 0. Sets LibTorch to one thread.
//   InvalidArgument  a picture of another size
//   Internal         an output that is not finite, or an error of LibTorch
//   what LoadModel fails with
absl::StatusOr<DenoisingSamples> SampleDenoising(
    const Checkpoint& checkpoint, absl::Span<const uint8_t> picture,
    uint64_t seed);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_EVALUATION_COMMANDS_DENOISING_SAMPLES_H_
