// Group normalisation of images, float32 NHWC. No LibTorch.
#ifndef DDGAN_ENGINE_KERNELS_GROUP_NORM_H_
#define DDGAN_ENGINE_KERNELS_GROUP_NORM_H_

#include <cstdint>

#include "engine/kernels/thread_pool.h"

namespace ddgan::kernels {

// What follows the normalisation: nothing, or x sigmoid(x).
enum class Activation { kNone, kSilu };

// y = act(scale[c] (x - mean) / sqrt(variance + 1e-6) + shift[c]), mean and
// population variance over each group of channels / groups channels
// (MODEL.md 3.1). x, y: images of [pixels, channels]; y may be x. scales[i] and
// shifts[i]: [channels] of image i.
//
// Sums are formed in an order that depends on nothing but the shape: each
// channel's over four chains of pixels (p mod 4), the channels of a group one
// after the other in double. `scratch`: [images, 2, channels].
void GroupNorm(const float* x, int64_t images, int64_t pixels, int64_t channels,
               int64_t groups, const float* const* scales,
               const float* const* shifts, Activation activation, float* y,
               float* scratch, ThreadPool& threads);

}  // namespace ddgan::kernels

#endif  // DDGAN_ENGINE_KERNELS_GROUP_NORM_H_
