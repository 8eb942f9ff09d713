// What is done to each value on its own, float32. No LibTorch. Thread-safe:
// pure functions.
#ifndef DDGAN_ENGINE_KERNELS_ELEMENTWISE_H_
#define DDGAN_ENGINE_KERNELS_ELEMENTWISE_H_

#include <cstdint>

#include "engine/diffusion/state_update.h"

namespace ddgan::kernels {

// y[i] = (a[i] + b[i]) factor. y may be a or b.
void AddScale(const float* a, const float* b, float factor, int64_t count,
              float* y);

// x[i] = x[i] sigmoid(x[i]).
void Silu(float* x, int64_t count);

// y[c, p] = tanh(x[p, c]): an image [pixels, channels] to planes.
void TanhToPlanes(const float* x, int64_t pixels, int64_t channels, float* y);

// y[p, c] = x[c, p].
void FromPlanes(const float* x, int64_t pixels, int64_t channels, float* y);

// Joins the channels of two images: [pixels, a_channels + b_channels].
void Concatenate(const float* a, int64_t a_channels, const float* b,
                 int64_t b_channels, int64_t pixels, float* y);

// x0[i] = update.x0 x0[i] + update.x x[i] + update.noise noise[i]; noise is not
// read where its factor is 0. Returns whether all results are finite.
bool ApplyUpdate(const LinearUpdate& update, const float* x, const float* noise,
                 int64_t count, float* x0);

// y[i] = a x[i] + b y[i]: y is noise at first, and x diffused at last.
void Diffuse(float a, const float* x, float b, int64_t count, float* y);

// |x|^2, and |x - factor y|^2, in double.
double SquaredNorm(const float* x, int64_t count);
double SquaredDistance(const float* x, float factor, const float* y,
                       int64_t count);

// The vector functions by themselves: y[i] = f(x[i]). In [0, 2 pi] for sine and
// cosine, positive and normal for the logarithm.
enum class VectorFunction { kExp, kLog, kTanh, kSigmoid, kSine, kCosine };
void Apply(VectorFunction function, const float* x, int64_t count, float* y);

}  // namespace ddgan::kernels

#endif  // DDGAN_ENGINE_KERNELS_ELEMENTWISE_H_
