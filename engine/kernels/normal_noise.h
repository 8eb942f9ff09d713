// The noise of engine/diffusion/philox.h for CPUs, with equal bits on every
// processor. No LibTorch. Thread-safe: pure functions.
#ifndef DDGAN_ENGINE_KERNELS_NORMAL_NOISE_H_
#define DDGAN_ENGINE_KERNELS_NORMAL_NOISE_H_

#include <cstdint>

#include "engine/diffusion/philox.h"

namespace ddgan::kernels {

// out[i] = element i of the tensor's noise, i < count, row-major: a standard
// normal. An element does not depend on count.
void FillNormal(const NoiseKey& key, int64_t count, float* out);

}  // namespace ddgan::kernels

#endif  // DDGAN_ENGINE_KERNELS_NORMAL_NOISE_H_
