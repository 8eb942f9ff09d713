// exp, log, tanh, sine and cosine of vectors: equal bits on every processor,
// at most 2 units in the last place from the exact value
// (tests/engine/kernels/vector_math_test.cc asks every float).
#if defined(DDGAN_ENGINE_KERNELS_VECTOR_MATH_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef DDGAN_ENGINE_KERNELS_VECTOR_MATH_INL_H_
#undef DDGAN_ENGINE_KERNELS_VECTOR_MATH_INL_H_
#else
#define DDGAN_ENGINE_KERNELS_VECTOR_MATH_INL_H_
#endif

#include "engine/kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ddgan::kernels::HWY_NAMESPACE {

// c[0] + x (c[1] + x (c[2] + ...)), one fused multiply-add per coefficient.
template <typename V, size_t kCount>
HWY_INLINE V Polynomial(V x, const float (&c)[kCount]) {
  const hn::DFromV<V> d;
  V sum = hn::Set(d, c[kCount - 1]);
  for (size_t i = kCount - 1; i-- > 0;) sum = Fma(sum, x, hn::Set(d, c[i]));
  return sum;
}

// The floats whose exponential is normal and finite.
inline constexpr float kExpLow = -87.33654f, kExpHigh = 88.72283f;

// e^x of x in [kExpLow, kExpHigh]. x = n ln 2 + r, |r| <= ln 2 / 2, ln 2 in two
// parts (Cody and Waite), e^r by its Taylor series to r^7, then n added to the
// exponent.
template <typename V>
HWY_INLINE V ExpInRange(V x) {
  const hn::DFromV<V> d;
  const hn::RebindToSigned<decltype(d)> di;
  constexpr float kTaylor[] = {1.0f,      1.0f,       0.5f,       1.0f / 6,
                               1.0f / 24, 1.0f / 120, 1.0f / 720, 1.0f / 5040};
  // Adding 1.5 * 2^23 rounds to the nearest integer, ties to even.
  const V round = hn::Set(d, 12582912.0f);
  const V n = hn::Sub(Fma(x, hn::Set(d, 1.44269504f), round), round);
  V r = NegativeFma(n, hn::Set(d, 0.693359375f), x);
  r = NegativeFma(n, hn::Set(d, -2.12194440e-4f), r);
  const auto exponent = hn::ShiftLeft<23>(hn::ConvertTo(di, n));
  return hn::BitCast(
      d, hn::Add(hn::BitCast(di, Polynomial(r, kTaylor)), exponent));
}

// e^x. 0 below -87.33, where the result would be subnormal; infinity above
// 88.72; NaN stays NaN.
template <typename V>
HWY_INLINE V Exp(V x) {
  const hn::DFromV<V> d;
  const V low = hn::Set(d, kExpLow), high = hn::Set(d, kExpHigh);
  V y = ExpInRange(hn::Min(hn::Max(x, low), high));
  y = hn::IfThenElse(hn::Lt(x, low), hn::Zero(d), y);
  y = hn::IfThenElse(hn::Gt(x, high), hn::Set(d, HUGE_VALF), y);
  return hn::IfThenElse(hn::Eq(x, x), y, x);
}

// 1 / (1 + e^-x).
template <typename V>
HWY_INLINE V Sigmoid(V x) {
  const hn::DFromV<V> d;
  const V one = hn::Set(d, 1.0f);
  return hn::Div(one, hn::Add(one, Exp(hn::Neg(x))));
}

// x sigmoid(x). Where e^-x is out of range the sigmoid is 1, or subnormal and
// so zero, without a look at which; NaN stays NaN.
template <typename V>
HWY_INLINE V SiluOf(V x) {
  const hn::DFromV<V> d;
  const V one = hn::Set(d, 1.0f);
  const V power = ExpInRange(
      hn::Min(hn::Max(hn::Neg(x), hn::Set(d, kExpLow)), hn::Set(d, kExpHigh)));
  return hn::Mul(x, hn::Div(one, hn::Add(one, power)));
}

// tanh by its odd polynomial up to 0.625 (coefficients of a minimax fit), above
// that as 1 - 2 / (e^2|x| + 1).
template <typename V>
HWY_INLINE V Tanh(V x) {
  const hn::DFromV<V> d;
  constexpr float kOdd[] = {-3.33332819422e-1f, 1.33314422036e-1f,
                            -5.37397155531e-2f, 2.06390887954e-2f,
                            -5.70498872745e-3f};
  const V one = hn::Set(d, 1.0f);
  const V magnitude = hn::Abs(x), square = hn::Mul(x, x);
  const V small = Fma(hn::Mul(Polynomial(square, kOdd), square), x, x);
  const V power = Exp(hn::Add(magnitude, magnitude));
  const V large = hn::CopySignToAbs(
      hn::Sub(one, hn::Div(hn::Set(d, 2.0f), hn::Add(power, one))), x);
  const V y =
      hn::IfThenElse(hn::Lt(magnitude, hn::Set(d, 0.625f)), small, large);
  return hn::IfThenElse(hn::Eq(x, x), y, x);
}

// ln x for normal x > 0. x = 2^n m, m in [sqrt(1/2), sqrt(2)); ln m by a
// minimax polynomial of f = m - 1, ln 2 in two parts.
template <typename V>
HWY_INLINE V Log(V x) {
  const hn::DFromV<V> d;
  const hn::RebindToSigned<decltype(d)> di;
  constexpr float kMinimax[] = {
      3.3333331174e-1f,  -2.4999993993e-1f, 2.0000714765e-1f,
      -1.6668057665e-1f, 1.4249322787e-1f,  -1.2420140846e-1f,
      1.1676998740e-1f,  -1.1514610310e-1f, 7.0376836292e-2f};
  const auto bits = hn::BitCast(di, x);
  // The exponent of x / sqrt(1/2), rounded down.
  const auto sqrt_half = hn::Set(di, 0x3f3504f3);
  const auto n = hn::ShiftRight<23>(hn::Sub(bits, sqrt_half));
  const V m = hn::BitCast(d, hn::Sub(bits, hn::ShiftLeft<23>(n)));
  const V f = hn::Sub(m, hn::Set(d, 1.0f));
  const V exponent = hn::ConvertTo(d, n);
  const V square = hn::Mul(f, f);
  V y = hn::Mul(hn::Mul(Polynomial(f, kMinimax), f), square);
  y = Fma(exponent, hn::Set(d, -2.12194440e-4f), y);
  y = Fma(hn::Set(d, -0.5f), square, y);
  return Fma(exponent, hn::Set(d, 0.693359375f), hn::Add(f, y));
}

// Sine and cosine of x in [0, 2 pi]. x = n pi/2 + r, |r| <= pi/4, pi/2 in three
// parts; minimax polynomials of r.
template <typename V>
HWY_INLINE void SinCos(V x, V* sine, V* cosine) {
  const hn::DFromV<V> d;
  const hn::RebindToSigned<decltype(d)> di;
  constexpr float kSine[] = {-1.6666654611e-1f, 8.3321608736e-3f,
                             -1.9515295891e-4f};
  constexpr float kCosine[] = {4.166664568298827e-2f, -1.388731625493765e-3f,
                               2.443315711809948e-5f};
  const V round = hn::Set(d, 12582912.0f);
  const V n = hn::Sub(Fma(x, hn::Set(d, 0.636619772f), round), round);
  V r = NegativeFma(n, hn::Set(d, 1.5707963705e+0f), x);
  r = NegativeFma(n, hn::Set(d, -4.3711388286e-8f), r);
  r = NegativeFma(n, hn::Set(d, -1.7763568394e-15f), r);
  const V square = hn::Mul(r, r);
  const V s = Fma(hn::Mul(Polynomial(square, kSine), square), r, r);
  const V c = Fma(hn::Mul(square, square), Polynomial(square, kCosine),
                  Fma(hn::Set(d, -0.5f), square, hn::Set(d, 1.0f)));
  // Quadrants 1 and 3 swap them; 2 and 3 change the sine's sign, 1 and 2 the
  // cosine's.
  const auto quadrant = hn::ConvertTo(di, n);
  const auto one = hn::Set(di, 1), two = hn::Set(di, 2);
  const auto swap = hn::RebindMask(d, hn::Eq(hn::And(quadrant, one), one));
  const auto sine_sign = hn::ShiftLeft<30>(hn::And(quadrant, two));
  const auto cosine_sign =
      hn::ShiftLeft<30>(hn::And(hn::Add(quadrant, one), two));
  *sine = hn::Xor(hn::IfThenElse(swap, c, s), hn::BitCast(d, sine_sign));
  *cosine = hn::Xor(hn::IfThenElse(swap, s, c), hn::BitCast(d, cosine_sign));
}

}  // namespace ddgan::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // DDGAN_ENGINE_KERNELS_VECTOR_MATH_INL_H_
