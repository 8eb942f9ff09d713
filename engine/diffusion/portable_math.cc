#include "engine/diffusion/portable_math.h"

#include <cmath>

namespace ddgan {
namespace {

// ln 2 in two parts: a whole number below 2^20 times the first is exact.
constexpr double kLn2High = 6.93147180369123816490e-01;
constexpr double kLn2Low = 1.90821492927058770002e-10;

// pi/2 in three parts, in the same way.
constexpr double kHalfPi[] = {1.57079632673412561417e+00,
                              6.07710050630396597660e-11,
                              2.02226624879595063154e-21};

// sum of term_k, k = last to 0, where term_0 = 1 and term_k / term_{k-1} =
// ratio(k): a series from its small end.
template <typename F>
double Series(int last, const F& ratio) {
  double sum = 1;
  for (int k = last; k > 0; --k) sum = 1 + ratio(k) * sum;
  return sum;
}

double SinSeries(double r) {
  const double square = r * r;
  return r * Series(9, [&](int k) { return -square / (2 * k * (2 * k + 1)); });
}

double CosSeries(double r) {
  const double square = r * r;
  return Series(9, [&](int k) { return -square / (2 * k * (2 * k - 1)); });
}

// sin(x + quarter pi/2). x = n pi/2 + r, |r| <= pi/4.
double SinOfQuarter(double x, int quarter) {
  const double n = std::floor(x * (2 / 3.14159265358979323846) + 0.5);
  double r = x;
  for (const double part : kHalfPi) r -= n * part;
  quarter = (quarter + static_cast<int>(n)) & 3;
  const double y = quarter % 2 == 0 ? SinSeries(r) : CosSeries(r);
  return quarter < 2 ? y : -y;
}

}  // namespace

double PortableExp(double x) {
  if (std::isnan(x)) return x;
  if (x < -708) return 0;
  if (x > 709) return HUGE_VAL;
  // x = n ln 2 + r, |r| <= ln 2 / 2.
  const double n = std::floor(x / kLn2High + 0.5);
  const double r = (x - n * kLn2High) - n * kLn2Low;
  return std::ldexp(Series(14, [&](int k) { return r / k; }),
                    static_cast<int>(n));
}

double PortableLog(double x) {
  // x = 2^n m, m in [sqrt(1/2), sqrt(2)); ln m = 2 artanh s.
  int n = 0;
  double m = std::frexp(x, &n);
  if (m < 0.70710678118654752440) {
    m *= 2;
    --n;
  }
  const double s = (m - 1) / (m + 1), square = s * s;
  double sum = 0;  // square / 3 + square^2 / 5 + ...
  for (int k = 11; k > 0; --k) sum = square * (1.0 / (2 * k + 1) + sum);
  return n * kLn2High + (2 * s + (2 * s * sum + n * kLn2Low));
}

double PortableSin(double x) { return SinOfQuarter(x, 0); }

double PortableCos(double x) { return SinOfQuarter(x, 1); }

}  // namespace ddgan
