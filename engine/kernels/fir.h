// Separable filters of 4 taps over images, float32 NHWC, zeros beyond the edges
// (MODEL.md 3.1). No LibTorch.
#ifndef DDGAN_ENGINE_KERNELS_FIR_H_
#define DDGAN_ENGINE_KERNELS_FIR_H_

#include <array>
#include <cstdint>

#include "engine/kernels/thread_pool.h"

namespace ddgan::kernels {

using Taps = std::array<float, 4>;

enum class FirKind {
  kDown,    // out[o] = sum_j taps[j] x[2 o + j - 1]; size / 2
  kUp,      // out[2 i + j - 1] += taps[j] x[i]; 2 size
  kSmooth,  // out[o] = sum_j taps[j] x[o + j - 2]; size + 1
};

int64_t FirOutSize(FirKind kind, int64_t size);

// In both directions, `taps` in each. x: images of [size, size, channels], size
// even for kDown; y: of FirOutSize.
void Fir(FirKind kind, const float* x, int64_t images, int64_t size,
         int64_t channels, const Taps& taps, float* y, ThreadPool& threads);

}  // namespace ddgan::kernels

#endif  // DDGAN_ENGINE_KERNELS_FIR_H_
