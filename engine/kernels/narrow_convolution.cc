#include "engine/kernels/narrow_convolution.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/kernels/narrow_convolution.cc"
#include <hwy/foreach_target.h>
//
#include <hwy/highway.h>

#include <algorithm>

#include "engine/kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ddgan::kernels::HWY_NAMESPACE {

// kRows rows of output channel `o`, from row `row` of the planes on, to as many
// lines of `size` values. planes: [in, rows, width], padded.
template <int kRows>
HWY_INLINE void ConvolvePlanes(const NarrowConvolution& convolution,
                               const float* planes, int64_t plane_size,
                               int64_t row, int64_t o, float* lines) {
  const int64_t size = convolution.size, in = convolution.in;
  const int64_t width = size + 2;
  ForEachVector(size, [&](auto d, int64_t x) HWY_ATTR {
    hn::Vec<decltype(d)> sums[kRows];
#pragma GCC unroll 8
    for (int i = 0; i < kRows; ++i) sums[i] = hn::Set(d, convolution.bias[o]);
    const float* weight = convolution.weights + o;
    for (int64_t tap = 0; tap < 9; ++tap) {
      const float* from = planes + (row + tap / 3) * width + tap % 3 + x;
      for (int64_t c = 0; c < in; ++c, from += plane_size) {
        const auto factor = hn::Set(d, *weight);
        weight += convolution.weight_stride;
#pragma GCC unroll 8
        for (int i = 0; i < kRows; ++i) {
          sums[i] = Fma(hn::LoadU(d, from + i * width), factor, sums[i]);
        }
      }
    }
#pragma GCC unroll 8
    for (int i = 0; i < kRows; ++i) {
      hn::StoreU(sums[i], d, lines + i * size + x);
    }
  });
}

void ConvolveRows(const NarrowConvolution& convolution, const float* planes,
                  int64_t plane_size, int64_t rows, int64_t o, float* lines) {
  if (rows == kNarrowRows) {
    ConvolvePlanes<kNarrowRows>(convolution, planes, plane_size, 0, o, lines);
    return;
  }
  for (int64_t row = 0; row < rows; ++row) {
    ConvolvePlanes<1>(convolution, planes, plane_size, row, o,
                      lines + row * convolution.size);
  }
}

}  // namespace ddgan::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ddgan::kernels {
namespace {

// Rows [first, last) of the image, zeros beyond its edges, to planes [in, last
// - first, size + 2].
void ToPlanes(const NarrowConvolution& convolution, int64_t first, int64_t last,
              float* planes) {
  const int64_t size = convolution.size, in = convolution.in;
  const int64_t width = size + 2, plane_size = (last - first) * width;
  for (int64_t row = first; row < last; ++row) {
    for (int64_t c = 0; c < in; ++c) {
      float* to = planes + c * plane_size + (row - first) * width;
      if (row < 0 || row >= size) {
        std::fill_n(to, width, 0.0f);
        continue;
      }
      const float* from = convolution.x + row * size * in + c;
      *to++ = 0;
      for (int64_t x = 0; x < size; ++x) *to++ = from[x * in];
      *to = 0;
    }
  }
}

}  // namespace

HWY_EXPORT(ConvolveRows);

int64_t NarrowScratch(int64_t size, int64_t in) {
  return in * (kNarrowRows + 2) * (size + 2) + kNarrowRows * size;
}

void ConvolveNarrow(const NarrowConvolution& convolution, int64_t first,
                    int64_t last, float* scratch) {
  const int64_t size = convolution.size, out = convolution.out;
  const int64_t rows = last - first, plane_size = (rows + 2) * (size + 2);
  float* const lines = scratch + convolution.in * plane_size;
  ToPlanes(convolution, first - 1, last + 1, scratch);
  for (int64_t o = 0; o < out; ++o) {
    HWY_DYNAMIC_DISPATCH(ConvolveRows)
    (convolution, scratch, plane_size, rows, o, lines);
    float* const to = convolution.y + first * size * out + o;
    for (int64_t i = 0; i < rows * size; ++i) to[i * out] = lines[i];
  }
}

}  // namespace ddgan::kernels
#endif  // HWY_ONCE
