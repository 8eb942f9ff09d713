// Each function at every 61st float (all floats with --gtest_filter=*Every* and
// DDGAN_EVERY_FLOAT=1): at most 2 ulp from the exact value, and the same bits
// on every instruction set.
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <vector>

#include "engine/kernels/elementwise.h"
#include "every_target.h"

namespace ddgan::kernels {
namespace {

struct Function {
  VectorFunction function;
  double (*exact)(double);
  float low, high;
  double max_ulp;
};

double ExactSigmoid(double x) { return 1 / (1 + std::exp(-x)); }

constexpr float kMax = std::numeric_limits<float>::max();
constexpr float kMin = std::numeric_limits<float>::min();
const Function kFunctions[] = {
    {VectorFunction::kExp, std::exp, -kMax, 88.72283f, 2},
    {VectorFunction::kLog, std::log, kMin, kMax, 2},
    {VectorFunction::kTanh, std::tanh, -kMax, kMax, 2},
    // A quotient of what has 2 itself.
    {VectorFunction::kSigmoid, ExactSigmoid, -87, kMax, 3},
    {VectorFunction::kSine, std::sin, 0, 6.2831855f, 2},
    {VectorFunction::kCosine, std::cos, 0, 6.2831855f, 2},
};

// Of `exact`'s binade; results that would be subnormal may be 0.
double UlpFrom(float value, double exact) {
  if (std::fabs(exact) < static_cast<double>(kMin)) {
    return std::fabs(value) <= kMin ? 0 : 1e9;
  }
  int exponent;
  std::frexp(exact, &exponent);
  return std::fabs(static_cast<double>(value) - exact) /
         std::ldexp(1.0, exponent - 24);
}

// Normal floats of the function's domain, in chunks.
template <typename F>
void ForArguments(const Function& function, uint64_t step, const F& f) {
  std::vector<float> x;
  for (uint64_t bits = 0; bits < (uint64_t{1} << 32); bits += step) {
    const uint32_t word = static_cast<uint32_t>(bits);
    float value;
    std::memcpy(&value, &word, sizeof(value));
    if (!(value >= function.low && value <= function.high) ||
        (value != 0 && std::fabs(value) < kMin)) {
      continue;
    }
    x.push_back(value);
    if (x.size() == 4096) {
      f(x);
      x.clear();
    }
  }
  f(x);
}

class VectorMath : public EveryTarget {};

TEST_P(VectorMath, IsWithinTwoUlpOfTheExactValue) {
  const uint64_t step = std::getenv("DDGAN_EVERY_FLOAT") != nullptr ? 1 : 6101;
  for (const Function& function : kFunctions) {
    double worst = 0;
    float at = 0;
    ForArguments(function, step, [&](const std::vector<float>& x) {
      std::vector<float> y(x.size());
      Apply(function.function, x.data(), static_cast<int64_t>(x.size()),
            y.data());
      for (size_t i = 0; i < x.size(); ++i) {
        const double ulp =
            UlpFrom(y[i], function.exact(static_cast<double>(x[i])));
        if (ulp > worst) {
          worst = ulp;
          at = x[i];
        }
      }
    });
    EXPECT_LE(worst, function.max_ulp)
        << "function " << static_cast<int>(function.function) << " at " << at;
  }
}

TEST_P(VectorMath, HasLimitsAndKeepsNan) {
  const float infinity = std::numeric_limits<float>::infinity();
  const std::vector<float> x = {infinity, -infinity, 100, -104, 0, NAN};
  std::vector<float> y(x.size());
  Apply(VectorFunction::kExp, x.data(), 6, y.data());
  EXPECT_EQ(y[0], infinity);
  EXPECT_EQ(y[1], 0);
  EXPECT_EQ(y[2], infinity);
  EXPECT_EQ(y[3], 0);
  EXPECT_EQ(y[4], 1);
  EXPECT_TRUE(std::isnan(y[5]));
  // The last floats whose exponential is finite, and normal.
  const std::vector<float> last = {88.72283f, std::nextafter(88.72283f, 100.0f),
                                   -87.33654f,
                                   std::nextafter(-87.33654f, -100.0f)};
  Apply(VectorFunction::kExp, last.data(), 4, y.data());
  EXPECT_NEAR(y[0] / kMax, 1, 1e-5);
  EXPECT_EQ(y[1], infinity);
  EXPECT_NEAR(y[2] / kMin, 1, 1e-5);
  EXPECT_EQ(y[3], 0);
  Apply(VectorFunction::kTanh, x.data(), 6, y.data());
  EXPECT_EQ(y[0], 1);
  EXPECT_EQ(y[1], -1);
  EXPECT_EQ(y[4], 0);
  EXPECT_TRUE(std::isnan(y[5]));
  Apply(VectorFunction::kSigmoid, x.data(), 6, y.data());
  EXPECT_EQ(y[0], 1);
  EXPECT_EQ(y[1], 0);
  EXPECT_EQ(y[4], 0.5f);
  EXPECT_TRUE(std::isnan(y[5]));
}

// A hash of the bits of many results: a constant of this repository.
TEST_P(VectorMath, HasTheSameBitsEverywhere) {
  uint64_t hash = 14695981039346656037u;
  for (const Function& function : kFunctions) {
    ForArguments(function, 100003, [&](const std::vector<float>& x) {
      std::vector<float> y(x.size());
      Apply(function.function, x.data(), static_cast<int64_t>(x.size()),
            y.data());
      for (const float value : y) {
        uint32_t bits;
        std::memcpy(&bits, &value, sizeof(bits));
        hash = (hash ^ bits) * 1099511628211u;
      }
    });
  }
  EXPECT_EQ(hash, uint64_t{3041053526478079943});
}

DDGAN_ON_EVERY_TARGET(VectorMath);

}  // namespace
}  // namespace ddgan::kernels
