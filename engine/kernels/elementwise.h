// What is done to each value on its own, float32. No LibTorch. Thread-safe:
// pure functions.
#ifndef DDGAN_ENGINE_KERNELS_ELEMENTWISE_H_
#define DDGAN_ENGINE_KERNELS_ELEMENTWISE_H_

#include <cstdint>

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

// The vector functions by themselves: y[i] = f(x[i]). In [0, 2 pi] for sine and
// cosine, positive and normal for the logarithm.
enum class VectorFunction { kExp, kLog, kTanh, kSigmoid, kSine, kCosine };
void Apply(VectorFunction function, const float* x, int64_t count, float* y);

}  // namespace ddgan::kernels

#endif  // DDGAN_ENGINE_KERNELS_ELEMENTWISE_H_
