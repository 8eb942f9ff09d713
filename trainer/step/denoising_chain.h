// Sampling with a network in training, some of the steps kept to look at.
#ifndef DDGAN_TRAINER_STEP_DENOISING_CHAIN_H_
#define DDGAN_TRAINER_STEP_DENOISING_CHAIN_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "engine/diffusion/update_rule.h"
#include "trainer/networks/networks.h"
#include "trainer/step/training_draws.h"

namespace ddgan {

// At most so many evaluations of the network are kept, evenly spaced, the first
// of them always.
inline constexpr int kMaxKeptEvaluations = 8;

// Of the first `kept` samples, [kept, C, H, W]; of all, [count, C, H, W].
struct DenoisingChain {
  std::vector<at::Tensor> x;   // The state before each kept evaluation, x_T
                               // first; and in the end x_0, of all.
  std::vector<at::Tensor> x0;  // x0' of each: one fewer.
};

// What of the network and its process SampleChain needs.
struct ChainSource {
  const Networks& networks;
  const SamplingPlan& plan;
  DrawShapes shapes;
  bool is_denoiser = false;  // Its latents are 0.
};

// Draws `count` samples by the plan, with the noise that a server takes for
// `seed` and image indices first_index, first_index + 1, ...
// (engine/diffusion/philox.h), so that an image is the one that `ddgan
// generate` makes of the published version. Computes `at_once` of them at a
// time, which bounds memory but for the chain itself: of the first `kept` it is
// whole, of the others it is x_0 alone. Float32 on the CPU. 0 <= kept <= count.
// Throws what LibTorch throws.
DenoisingChain SampleChain(const ChainSource& source, uint64_t seed,
                           uint32_t first_index, int count, int kept,
                           int at_once, const at::Device& device);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_STEP_DENOISING_CHAIN_H_
