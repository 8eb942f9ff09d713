#include "engine/kernels/attention_gradient.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/kernels/attention_gradient.cc"
#include <hwy/foreach_target.h>
//
#include <hwy/highway.h>

#include <algorithm>

#include "engine/kernels/attention.h"
#include "engine/kernels/matrix_product.h"
#include "engine/kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ddgan::kernels::HWY_NAMESPACE {

// gradient[j] = weights[j] (gradient[j] - mean): of a softmax's input, from
// that of its output.
void SoftmaxGradientImpl(const float* weights, float mean, int64_t count,
                         float* gradient) {
  ForEachVector(count, [&](auto d, int64_t j) HWY_ATTR {
    const auto difference =
        hn::Sub(hn::LoadU(d, gradient + j), hn::Set(d, mean));
    hn::StoreU(hn::Mul(hn::LoadU(d, weights + j), difference), d, gradient + j);
  });
}

}  // namespace ddgan::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ddgan::kernels {
namespace {

// Queries whose weights are in the cache together.
constexpr int64_t kBlockRows = 32;

int64_t AlignedCount(int64_t count) { return (count + 15) / 16 * 16; }

// rows [count], `stride` floats apart and `depth` long, times b.
void Multiply(const float* rows, int64_t stride, int64_t count,
              const PackedMatrix& b, float* c, int64_t c_stride) {
  const float* runs[kBlockRows];
  for (int64_t i = 0; i < count; ++i) runs[i] = rows + i * stride;
  MultiplyRows({.runs = runs, .rows = count, .taps = 1, .run = b.depth}, b, 0,
               PanelsOf(b.columns), nullptr, 0, c, c_stride);
}

}  // namespace

HWY_EXPORT(SoftmaxGradientImpl);

int64_t AttentionGradientScratch(int64_t pixels, int64_t channels) {
  return 2 * PackedSize(channels, pixels) + PackedSize(pixels, channels) +
         2 * AlignedCount(kBlockRows * pixels);
}

void AttendBackward(const float* qkv, const float* y, const float* dy,
                    int64_t pixels, int64_t channels, float* dqkv,
                    float* scratch) {
  const int64_t stride = 3 * channels;
  const float* const keys = qkv + channels;
  const float* const values = qkv + 2 * channels;
  float* const keys_across = scratch;
  float* const values_across = keys_across + PackedSize(channels, pixels);
  float* const keys_down = values_across + PackedSize(channels, pixels);
  float* const weights = keys_down + PackedSize(pixels, channels);
  float* const gradients = weights + AlignedCount(kBlockRows * pixels);
  PackMatrix(keys, channels, pixels, 1, stride, keys_across);
  PackMatrix(values, channels, pixels, 1, stride, values_across);
  PackMatrix(keys, pixels, channels, stride, 1, keys_down);
  std::fill_n(dqkv, pixels * stride, 0.0f);
  for (int64_t first = 0; first < pixels; first += kBlockRows) {
    const int64_t rows = std::min(kBlockRows, pixels - first);
    const float* const queries = qkv + first * stride;
    const float* const dy_rows = dy + first * channels;
    Multiply(queries, stride, rows, {keys_across, channels, pixels}, weights,
             pixels);
    Multiply(dy_rows, channels, rows, {values_across, channels, pixels},
             gradients, pixels);
    for (int64_t i = 0; i < rows; ++i) {
      Softmax(weights + i * pixels, pixels);
      // The mean of the weights' gradients, by the weights.
      float mean = 0;
      for (int64_t c = 0; c < channels; ++c) {
        mean += dy_rows[i * channels + c] * y[(first + i) * channels + c];
      }
      HWY_DYNAMIC_DISPATCH(SoftmaxGradientImpl)
      (weights + i * pixels, mean, pixels, gradients + i * pixels);
    }
    Multiply(gradients, pixels, rows, {keys_down, pixels, channels},
             dqkv + first * stride, stride);
    AddOuterProducts({.a = gradients,
                      .a_stride = pixels,
                      .b = queries,
                      .b_stride = stride,
                      .depth = rows,
                      .rows = pixels,
                      .columns = channels,
                      .c = dqkv + channels,
                      .c_stride = stride});
    AddOuterProducts({.a = weights,
                      .a_stride = pixels,
                      .b = dy_rows,
                      .b_stride = channels,
                      .depth = rows,
                      .rows = pixels,
                      .columns = channels,
                      .c = dqkv + 2 * channels,
                      .c_stride = stride});
  }
}

}  // namespace ddgan::kernels
#endif  // HWY_ONCE
