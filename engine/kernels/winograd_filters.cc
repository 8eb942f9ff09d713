// The transforms of filters and of their gradients.
#include "engine/kernels/winograd.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/kernels/winograd_filters.cc"
#include <hwy/foreach_target.h>
//
#include <hwy/highway.h>

#include <algorithm>
#include <utility>

#include "engine/kernels/matrix_product.h"
#include "engine/kernels/simd-inl.h"

#ifndef DDGAN_ENGINE_KERNELS_WINOGRAD_FILTERS_ONCE_
#define DDGAN_ENGINE_KERNELS_WINOGRAD_FILTERS_ONCE_
namespace ddgan::kernels {

// G of F(m x m, 3x3).
template <int kM>
inline constexpr double kFilter[kM + 2][3] = {};
template <>
inline constexpr double kFilter<2>[4][3] = {
    {1, 0, 0}, {0.5, 0.5, 0.5}, {0.5, -0.5, 0.5}, {0, 0, 1}};
template <>
inline constexpr double kFilter<4>[6][3] = {{1.0 / 4, 0, 0},
                                            {-1.0 / 6, -1.0 / 6, -1.0 / 6},
                                            {-1.0 / 6, 1.0 / 6, -1.0 / 6},
                                            {1.0 / 24, 1.0 / 12, 1.0 / 6},
                                            {1.0 / 24, -1.0 / 12, 1.0 / 6},
                                            {0, 0, 1}};

}  // namespace ddgan::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace ddgan::kernels::HWY_NAMESPACE {

// y = G^T x.
template <typename V>
HWY_INLINE void FilterGradient(const V (&x)[4], V (&y)[3]) {
  const hn::DFromV<V> d;
  const V half = hn::Set(d, 0.5f);
  const V sum = hn::Mul(half, hn::Add(x[1], x[2]));
  y[0] = hn::Add(x[0], sum);
  y[1] = hn::Mul(half, hn::Sub(x[1], x[2]));
  y[2] = hn::Add(x[3], sum);
}

template <typename V>
HWY_INLINE void FilterGradient(const V (&x)[6], V (&y)[3]) {
  const hn::DFromV<V> d;
  const V sixth = hn::Set(d, 1.0f / 6);
  const V sum1 = hn::Add(x[1], x[2]), difference1 = hn::Sub(x[2], x[1]);
  const V sum2 = hn::Add(x[3], x[4]), difference2 = hn::Sub(x[3], x[4]);
  const V quarter = hn::Set(d, 0.25f);
  // Multiples of 1/6: (-sum1 + sum2 / 4), (difference1 + difference2 / 2),
  // (-sum1 + sum2).
  y[0] =
      Fma(quarter, x[0], hn::Mul(sixth, hn::Sub(hn::Mul(quarter, sum2), sum1)));
  y[1] = hn::Mul(sixth, Fma(hn::Set(d, 0.5f), difference2, difference1));
  y[2] = Fma(sixth, hn::Sub(sum2, sum1), x[5]);
}

template <int kM>
HWY_INLINE void FilterGradients(const float* transformed, int64_t row_stride,
                                int64_t position_stride, int64_t in,
                                int64_t out, float* gradient) {
  constexpr int kE = kM + 2;
  const hn::CappedTag<float, kPanelColumns> d;
  using V = hn::Vec<decltype(d)>;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  float taps[9][kPanelColumns];
  for (int64_t i = 0; i < in; ++i) {
    for (int64_t first = 0; first < out; first += lanes) {
      const float* from = transformed + i * row_stride + first;
      V columns[kE][3];  // [j][k]
      for (int j = 0; j < kE; ++j) {
        V x[kE];
#pragma GCC unroll 6
        for (int k = 0; k < kE; ++k) {
          x[k] = hn::LoadU(d, from + (k * kE + j) * position_stride);
        }
        FilterGradient(x, columns[j]);
      }
      for (int k = 0; k < 3; ++k) {
        V x[kE], y[3];
#pragma GCC unroll 6
        for (int j = 0; j < kE; ++j) x[j] = columns[j][k];
        FilterGradient(x, y);
        for (int l = 0; l < 3; ++l) hn::StoreU(y[l], d, taps[k * 3 + l]);
      }
      for (int64_t o = first; o < std::min(first + lanes, out); ++o) {
        for (int tap = 0; tap < 9; ++tap) {
          gradient[(o * in + i) * 9 + tap] = taps[tap][o - first];
        }
      }
    }
  }
}

// What position q takes of the taps: their sum in order, those with a factor of
// zero left out.
template <int kM, int kQ, class D, class V>
HWY_INLINE V FilterPosition(D d, const V (&taps)[9]) {
  constexpr int kE = kM + 2;
  V sum = hn::Zero(d);
#pragma GCC unroll 9
  for (int tap = 0; tap < 9; ++tap) {
    const double factor =
        kFilter<kM>[kQ / kE][tap / 3] * kFilter<kM>[kQ % kE][tap % 3];
    if (factor == 0) continue;
    sum = hn::Add(sum, hn::Mul(hn::Set(d, factor), taps[tap]));
  }
  return sum;
}

template <int kM, class D, class V, int... kQs>
HWY_INLINE void FilterPositions(D d, const V (&taps)[9], int64_t stride,
                                float* to, std::integer_sequence<int, kQs...>) {
  const hn::Rebind<float, D> df;
  (hn::StoreU(hn::DemoteTo(df, FilterPosition<kM, kQs>(d, taps)), df,
              to + kQs * stride),
   ...);
}

template <int kM>
HWY_INLINE void FilterMatrices(const Filters& filters, float* packed) {
  constexpr int kPositions = (kM + 2) * (kM + 2);
  // Matrices often lie powers of two apart, in the same few lines of the cache:
  // some rows of all of them are made here and then copied.
  constexpr int64_t kRows = 8;
  float rows[kPositions][kRows * kPanelColumns];
  const hn::CappedTag<double, 8> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  double values[9][kPanelColumns];
  for (int64_t first = 0; first < filters.out; first += kPanelColumns) {
    const int64_t width = std::min(kPanelColumns, filters.out - first);
    for (int64_t i = 0; i < filters.in; i += kRows) {
      const int64_t count = std::min(kRows, filters.in - i);
      for (int64_t row = 0; row < count; ++row) {
        for (int64_t j = 0; j < kPanelColumns; ++j) {
          const float* from = filters.first + (i + row) * filters.in_stride +
                              (first + j) * filters.out_stride;
          for (int tap = 0; tap < 9; ++tap) {
            values[tap][j] =
                j < width ? static_cast<double>(from[tap * filters.tap_stride])
                          : 0.0;
          }
        }
        for (int64_t j = 0; j < kPanelColumns; j += lanes) {
          hn::Vec<decltype(d)> taps[9];
#pragma GCC unroll 9
          for (int tap = 0; tap < 9; ++tap) {
            taps[tap] = hn::LoadU(d, values[tap] + j);
          }
          FilterPositions<kM>(d, taps, kRows * kPanelColumns,
                              rows[0] + row * kPanelColumns + j,
                              std::make_integer_sequence<int, kPositions>());
        }
      }
      for (int q = 0; q < kPositions; ++q) {
        std::copy_n(
            rows[q], count * kPanelColumns,
            packed + q * PackedSize(filters.in, filters.out) +
                (first / kPanelColumns * filters.in + i) * kPanelColumns);
      }
    }
  }
}

void TransformFiltersImpl(int m, const Filters& filters, float* packed) {
  if (m == 2) {
    FilterMatrices<2>(filters, packed);
  } else {
    FilterMatrices<4>(filters, packed);
  }
}

void TransformFilterGradientsImpl(int m, const float* transformed,
                                  int64_t row_stride, int64_t position_stride,
                                  int64_t in, int64_t out, float* gradient) {
  if (m == 2) {
    FilterGradients<2>(transformed, row_stride, position_stride, in, out,
                       gradient);
  } else {
    FilterGradients<4>(transformed, row_stride, position_stride, in, out,
                       gradient);
  }
}

}  // namespace ddgan::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ddgan::kernels {

HWY_EXPORT(TransformFiltersImpl);
HWY_EXPORT(TransformFilterGradientsImpl);

void TransformFilters(int m, const Filters& filters, float* packed) {
  HWY_DYNAMIC_DISPATCH(TransformFiltersImpl)(m, filters, packed);
}

void TransformFilterGradients(int m, const float* transformed,
                              int64_t row_stride, int64_t position_stride,
                              int64_t in, int64_t out, float* gradient) {
  HWY_DYNAMIC_DISPATCH(TransformFilterGradientsImpl)
  (m, transformed, row_stride, position_stride, in, out, gradient);
}

}  // namespace ddgan::kernels
#endif  // HWY_ONCE
