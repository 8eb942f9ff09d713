// The transforms of Winograd's minimal filtering F(m x m, 3x3), m = 2 or 4,
// with e = m + 2 (Lavin and Gray, CVPR 2016; matrices in winograd.cc). Images
// are float32 NHWC. No LibTorch. Thread-safe: pure functions.
#ifndef DDGAN_ENGINE_KERNELS_WINOGRAD_H_
#define DDGAN_ENGINE_KERNELS_WINOGRAD_H_

#include <cstdint>

namespace ddgan::kernels {

// One 3x3 filter to e x e values, computed in double.
void TransformFilter(int m, const float* filter, float* transformed);

// A tile's e x e input pixels, from (m row - 1, m column - 1) of `image` [size,
// size, channels] on, zeros beyond its edges, to e x e rows of `channels`
// values that are `position_stride` apart. `zeros`: [e * channels]. A stride
// that is no power of 2 lets the rows lie in a cache side by side.
void TransformInput(int m, const float* image, int64_t size, int64_t channels,
                    const float* zeros, int64_t row, int64_t column,
                    float* transformed, int64_t position_stride);

// Back to the tile's m x m output pixels of `image` [size, size, channels],
// with bias[channel] added.
void TransformOutput(int m, const float* transformed, int64_t position_stride,
                     const float* bias, float* image, int64_t size,
                     int64_t channels, int64_t row, int64_t column);

}  // namespace ddgan::kernels

#endif  // DDGAN_ENGINE_KERNELS_WINOGRAD_H_
