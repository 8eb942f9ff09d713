// Sampling with a network in training, all steps kept to look at.
#ifndef DDGAN_TRAINER_STEP_DENOISING_CHAIN_H_
#define DDGAN_TRAINER_STEP_DENOISING_CHAIN_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "engine/diffusion/diffusion.h"
#include "trainer/networks/networks.h"
#include "trainer/step/training_draws.h"

namespace ddgan {

struct DenoisingChain {
  std::vector<at::Tensor> x;   // x_T, ..., x_0: T + 1 of [count, C, H, W]
  std::vector<at::Tensor> x0;  // x0' of steps T-1, ..., 0: T of the same shape
};

// Draws `count` samples (spec section 2) with the noise that a server takes for
// `seed` and image indices 0 to count - 1 (engine/diffusion/philox.h), so that
// an image is the one that `ddgan generate` makes of the published version.
// Computes `at_once` of them at a time, which bounds memory. Float32 on the
// CPU. Throws what LibTorch throws.
DenoisingChain SampleChain(const Networks& networks, const Diffusion& diffusion,
                           const DrawShapes& shapes, uint64_t seed, int count,
                           int at_once, const at::Device& device);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_STEP_DENOISING_CHAIN_H_
