// The transforms of Winograd's minimal filtering F(m x m, 3x3), m = 2 or 4,
// with e = m + 2 (Lavin and Gray, CVPR 2016). Images are float32 NHWC. No
// LibTorch. Thread-safe: pure functions.
#ifndef DDGAN_ENGINE_KERNELS_WINOGRAD_H_
#define DDGAN_ENGINE_KERNELS_WINOGRAD_H_

#include <cstdint>

#include "engine/kernels/matrix_product.h"

namespace ddgan::kernels {

// The 3x3 filters of a convolution, each to e x e values, computed in double: e
// x e packed matrices [in, out] (matrix_product.h), one after the other.
void TransformFilters(int m, const Filters& filters, float* packed);

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

// What the gradient by the filters needs: the adjoints of TransformOutput and
// of TransformFilters. The first takes a tile's m x m pixels of `image` [size,
// size, channels]. The second takes e x e matrices [in, out], rows `row_stride`
// apart, `position_stride` from one to the next, and writes the gradient of
// each filter like `filters`; it reads kPanelColumns columns at a time.
void TransformOutputGradient(int m, const float* image, int64_t size,
                             int64_t channels, int64_t row, int64_t column,
                             float* transformed, int64_t position_stride);
void TransformFilterGradients(int m, const float* transformed,
                              int64_t row_stride, int64_t position_stride,
                              int64_t in, int64_t out, float* gradient);

}  // namespace ddgan::kernels

#endif  // DDGAN_ENGINE_KERNELS_WINOGRAD_H_
