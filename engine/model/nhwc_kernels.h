// The memory-bound pieces of a generator on the CPU, fused: one image, float32,
// NHWC (channels_last) planes as plain pointers. No LibTorch. Each function
// picks the widest vector instructions of the processor it runs on;
// thread-safe.
//
// An image is `pixels` x `channels` floats (height x width x channels for the
// filters). Inputs and outputs do not overlap unless said.
#ifndef DDGAN_ENGINE_MODEL_NHWC_KERNELS_H_
#define DDGAN_ENGINE_MODEL_NHWC_KERNELS_H_

#include <array>
#include <cstdint>

namespace ddgan::nhwc {

// What follows the normalisation.
enum class Activation { kNone, kSilu };

// y = act(scale[c] * (x - mean) * rstd + shift[c]), statistics per group of
// channels / groups channels, population variance, eps 1e-6 (MODEL.md 3.1).
// Also writes the `groups` means and reciprocal standard deviations, for
// Backward.
void GroupNorm(const float* x, int64_t pixels, int64_t channels, int64_t groups,
               const float* scale, const float* shift, Activation activation,
               float* y, float* mean, float* rstd);

// Gradients of GroupNorm from dy: dx, and this image's dscale and dshift
// [channels].
void GroupNormBackward(const float* x, int64_t pixels, int64_t channels,
                       int64_t groups, const float* scale, const float* shift,
                       Activation activation, const float* mean,
                       const float* rstd, const float* dy, float* dx,
                       float* dscale, float* dshift);

// Separable 4-tap filters with zero padding (MODEL.md 3.1); `taps` is the 1-D
// filter. Down and Up with equal taps are each other's adjoint.
using Taps = std::array<float, 4>;
// out[o] = sum_j taps[j] x[2o + j - 1] in both directions; output height/2 x
// width/2. Height and width must be even.
void FirDown(const float* x, int64_t height, int64_t width, int64_t channels,
             const Taps& taps, float* out);
// out[2i + j - 1] += taps[j] x[i] in both directions; output 2 height x 2
// width.
void FirUp(const float* x, int64_t height, int64_t width, int64_t channels,
           const Taps& taps, float* out);
// out[o] = sum_j taps[j] x[o + j - pad] in both directions; pad 2 gives
// height+1 x width+1 pixels, pad 1 gives height-1 x width-1. The adjoint of pad
// p is pad 3 - p with the taps reversed.
void FirFilter(const float* x, int64_t height, int64_t width, int64_t channels,
               const Taps& taps, int64_t pad, float* out);

}  // namespace ddgan::nhwc

#endif  // DDGAN_ENGINE_MODEL_NHWC_KERNELS_H_
