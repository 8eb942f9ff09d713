#include "engine/kernels/winograd.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/kernels/winograd.cc"
#include <hwy/foreach_target.h>
//
#include <hwy/highway.h>

#include "engine/kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ddgan::kernels::HWY_NAMESPACE {

// y = B^T x, for the points 0, 1, -1 and infinity.
template <typename V>
HWY_INLINE void InputTransform(const V (&x)[4], V (&y)[4]) {
  y[0] = hn::Sub(x[0], x[2]);
  y[1] = hn::Add(x[1], x[2]);
  y[2] = hn::Sub(x[2], x[1]);
  y[3] = hn::Sub(x[1], x[3]);
}

// y = B^T x, for the points 0, 1, -1, 2, -2 and infinity.
template <typename V>
HWY_INLINE void InputTransform(const V (&x)[6], V (&y)[6]) {
  const hn::DFromV<V> d;
  const V two = hn::Set(d, 2.0f), four = hn::Set(d, 4.0f),
          five = hn::Set(d, 5.0f);
  const V even = NegativeFma(four, x[2], x[4]);
  const V odd = NegativeFma(four, x[1], x[3]);
  const V even2 = hn::Sub(x[4], x[2]);
  const V odd2 = hn::Mul(two, hn::Sub(x[3], x[1]));
  y[0] = Fma(four, x[0], NegativeFma(five, x[2], x[4]));
  y[1] = hn::Add(even, odd);
  y[2] = hn::Sub(even, odd);
  y[3] = hn::Add(even2, odd2);
  y[4] = hn::Sub(even2, odd2);
  y[5] = Fma(four, x[1], NegativeFma(five, x[3], x[5]));
}

// y = A^T x.
template <typename V>
HWY_INLINE void OutputTransform(const V (&x)[4], V (&y)[2]) {
  y[0] = hn::Add(hn::Add(x[0], x[1]), x[2]);
  y[1] = hn::Sub(hn::Sub(x[1], x[2]), x[3]);
}

template <typename V>
HWY_INLINE void OutputTransform(const V (&x)[6], V (&y)[4]) {
  const hn::DFromV<V> d;
  const V sum1 = hn::Add(x[1], x[2]), difference1 = hn::Sub(x[1], x[2]);
  const V sum2 = hn::Add(x[3], x[4]), difference2 = hn::Sub(x[3], x[4]);
  y[0] = hn::Add(hn::Add(x[0], sum1), sum2);
  y[1] = Fma(hn::Set(d, 2.0f), difference2, difference1);
  y[2] = Fma(hn::Set(d, 4.0f), sum2, sum1);
  y[3] = hn::Add(Fma(hn::Set(d, 8.0f), difference2, difference1), x[5]);
}

// y = A x.
template <typename V>
HWY_INLINE void OutputGradient(const V (&x)[2], V (&y)[4]) {
  y[0] = x[0];
  y[1] = hn::Add(x[0], x[1]);
  y[2] = hn::Sub(x[0], x[1]);
  y[3] = hn::Neg(x[1]);
}

template <typename V>
HWY_INLINE void OutputGradient(const V (&x)[4], V (&y)[6]) {
  const hn::DFromV<V> d;
  const V even = hn::Add(x[0], x[2]), odd = hn::Add(x[1], x[3]);
  const V even2 = Fma(hn::Set(d, 4.0f), x[2], x[0]);
  const V odd2 = Fma(hn::Set(d, 8.0f), x[3], hn::Add(x[1], x[1]));
  y[0] = x[0];
  y[1] = hn::Add(even, odd);
  y[2] = hn::Sub(even, odd);
  y[3] = hn::Add(even2, odd2);
  y[4] = hn::Sub(even2, odd2);
  y[5] = x[3];
}

// One vector of channels of a tile. Not inlined into the loop over channels,
// where the compiler would keep the address of each of 36 rows in memory.
// rows: e rows of pixels, from the tile's first column inside the image on.
template <int kE, class D>
HWY_NOINLINE void InputVector(D d, const float* const (&rows)[kE],
                              int64_t channels, bool left_edge, bool right_edge,
                              int64_t c, float* to, int64_t position_stride) {
  using V = hn::Vec<D>;
  const int64_t outside = left_edge ? channels : 0;
  V columns[kE][kE];  // [j][i]
#pragma GCC unroll 6
  for (int j = 0; j < kE; ++j) {
    V in[kE];
    if ((j == 0 && left_edge) || (j == kE - 1 && right_edge)) {
#pragma GCC unroll 6
      for (int i = 0; i < kE; ++i) in[i] = hn::Zero(d);
    } else {
#pragma GCC unroll 6
      for (int i = 0; i < kE; ++i) {
        in[i] = hn::LoadU(d, rows[i] + (j * channels - outside) + c);
      }
    }
    InputTransform(in, columns[j]);
  }
  to += c;
#pragma GCC unroll 6
  for (int i = 0; i < kE; ++i) {
    V in[kE], out[kE];
#pragma GCC unroll 6
    for (int j = 0; j < kE; ++j) in[j] = columns[j][i];
    InputTransform(in, out);
#pragma GCC unroll 6
    for (int j = 0; j < kE; ++j, to += position_stride) {
      hn::StoreU(out[j], d, to);
    }
  }
}

template <int kM>
HWY_INLINE void InputTile(const float* image, int64_t size, int64_t channels,
                          const float* zeros, int64_t row, int64_t column,
                          float* transformed, int64_t position_stride) {
  constexpr int kE = kM + 2;
  const int64_t top = kM * row - 1, left = kM * column - 1;
  const bool left_edge = left<0, right_edge = left + kE> size;
  const int64_t first = left_edge ? 0 : left;
  const float* rows[kE];
  for (int i = 0; i < kE; ++i) {
    const bool inside = top + i >= 0 && top + i < size;
    rows[i] = inside ? image + ((top + i) * size + first) * channels : zeros;
  }
  ForEachVector(channels, [&](auto d, int64_t c) HWY_ATTR {
    InputVector<kE>(d, rows, channels, left_edge, right_edge, c, transformed,
                    position_stride);
  });
}

// Likewise back. from: the first position's row; to: the tile's first pixel.
template <int kM, class D>
HWY_NOINLINE void OutputVector(D d, const float* from, int64_t position_stride,
                               const float* bias, float* to, int64_t row_stride,
                               int64_t channels) {
  constexpr int kE = kM + 2;
  using V = hn::Vec<D>;
  V columns[kE][kM];  // [j][i]
#pragma GCC unroll 6
  for (int j = 0; j < kE; ++j) {
    V in[kE];
#pragma GCC unroll 6
    for (int i = 0; i < kE; ++i) {
      in[i] = hn::LoadU(d, from + (i * kE + j) * position_stride);
    }
    OutputTransform(in, columns[j]);
  }
  const V shift = hn::LoadU(d, bias);
#pragma GCC unroll 4
  for (int i = 0; i < kM; ++i, to += row_stride) {
    V in[kE], out[kM];
#pragma GCC unroll 6
    for (int j = 0; j < kE; ++j) in[j] = columns[j][i];
    OutputTransform(in, out);
#pragma GCC unroll 4
    for (int j = 0; j < kM; ++j) {
      hn::StoreU(hn::Add(out[j], shift), d, to + j * channels);
    }
  }
}

template <int kM>
HWY_INLINE void OutputTile(const float* transformed, int64_t position_stride,
                           const float* bias, float* image, int64_t size,
                           int64_t channels, int64_t row, int64_t column) {
  float* const to = image + (kM * row * size + kM * column) * channels;
  ForEachVector(channels, [&](auto d, int64_t c) HWY_ATTR {
    OutputVector<kM>(d, transformed + c, position_stride, bias + c, to + c,
                     size * channels, channels);
  });
}

template <int kM>
HWY_INLINE void OutputGradientTile(const float* image, int64_t size,
                                   int64_t channels, int64_t row,
                                   int64_t column, float* transformed,
                                   int64_t position_stride) {
  constexpr int kE = kM + 2;
  const float* const pixels =
      image + (kM * row * size + kM * column) * channels;
  ForEachVector(channels, [&](auto d, int64_t c) HWY_ATTR {
    using V = hn::Vec<decltype(d)>;
    V columns[kM][kE];  // [j][i]
#pragma GCC unroll 4
    for (int j = 0; j < kM; ++j) {
      V in[kM];
#pragma GCC unroll 4
      for (int i = 0; i < kM; ++i) {
        in[i] = hn::LoadU(d, pixels + (i * size + j) * channels + c);
      }
      OutputGradient(in, columns[j]);
    }
#pragma GCC unroll 6
    for (int i = 0; i < kE; ++i) {
      V in[kM], out[kE];
#pragma GCC unroll 4
      for (int j = 0; j < kM; ++j) in[j] = columns[j][i];
      OutputGradient(in, out);
#pragma GCC unroll 6
      for (int j = 0; j < kE; ++j) {
        hn::StoreU(out[j], d, transformed + (i * kE + j) * position_stride + c);
      }
    }
  });
}

void TransformInputImpl(int m, const float* image, int64_t size,
                        int64_t channels, const float* zeros, int64_t row,
                        int64_t column, float* transformed,
                        int64_t position_stride) {
  if (m == 2) {
    InputTile<2>(image, size, channels, zeros, row, column, transformed,
                 position_stride);
  } else {
    InputTile<4>(image, size, channels, zeros, row, column, transformed,
                 position_stride);
  }
}

void TransformOutputImpl(int m, const float* transformed,
                         int64_t position_stride, const float* bias,
                         float* image, int64_t size, int64_t channels,
                         int64_t row, int64_t column) {
  if (m == 2) {
    OutputTile<2>(transformed, position_stride, bias, image, size, channels,
                  row, column);
  } else {
    OutputTile<4>(transformed, position_stride, bias, image, size, channels,
                  row, column);
  }
}

void TransformOutputGradientImpl(int m, const float* image, int64_t size,
                                 int64_t channels, int64_t row, int64_t column,
                                 float* transformed, int64_t position_stride) {
  if (m == 2) {
    OutputGradientTile<2>(image, size, channels, row, column, transformed,
                          position_stride);
  } else {
    OutputGradientTile<4>(image, size, channels, row, column, transformed,
                          position_stride);
  }
}

}  // namespace ddgan::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ddgan::kernels {

HWY_EXPORT(TransformInputImpl);
HWY_EXPORT(TransformOutputImpl);
HWY_EXPORT(TransformOutputGradientImpl);

void TransformInput(int m, const float* image, int64_t size, int64_t channels,
                    const float* zeros, int64_t row, int64_t column,
                    float* transformed, int64_t position_stride) {
  HWY_DYNAMIC_DISPATCH(TransformInputImpl)
  (m, image, size, channels, zeros, row, column, transformed, position_stride);
}

void TransformOutput(int m, const float* transformed, int64_t position_stride,
                     const float* bias, float* image, int64_t size,
                     int64_t channels, int64_t row, int64_t column) {
  HWY_DYNAMIC_DISPATCH(TransformOutputImpl)
  (m, transformed, position_stride, bias, image, size, channels, row, column);
}

void TransformOutputGradient(int m, const float* image, int64_t size,
                             int64_t channels, int64_t row, int64_t column,
                             float* transformed, int64_t position_stride) {
  HWY_DYNAMIC_DISPATCH(TransformOutputGradientImpl)
  (m, image, size, channels, row, column, transformed, position_stride);
}

}  // namespace ddgan::kernels
#endif  // HWY_ONCE
