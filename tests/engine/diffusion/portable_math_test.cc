// Against the C library's functions in a wider format.
#include "engine/diffusion/portable_math.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>

namespace ddgan {
namespace {

// |value - exact| in units of the exact value's last place.
double Ulps(double value, long double exact) {
  const double nearest = static_cast<double>(exact);
  const double unit = std::nextafter(std::abs(nearest),
                                     std::numeric_limits<double>::infinity()) -
                      std::abs(nearest);
  return static_cast<double>(std::abs(static_cast<long double>(value) - exact) /
                             static_cast<long double>(unit));
}

TEST(PortableMathTest, ExpIsNear) {
  for (double x = -700; x < 700; x += 0.0371) {
    ASSERT_LE(Ulps(PortableExp(x), std::exp(static_cast<long double>(x))), 2)
        << x;
  }
  EXPECT_EQ(PortableExp(0), 1);
  EXPECT_EQ(PortableExp(-1e300), 0);
  EXPECT_EQ(PortableExp(1e300), HUGE_VAL);
  EXPECT_TRUE(std::isnan(PortableExp(std::nan(""))));
}

TEST(PortableMathTest, LogIsNear) {
  for (double x = 1e-300; x < 1e300; x *= 1.0137) {
    ASSERT_LE(Ulps(PortableLog(x), std::log(static_cast<long double>(x))), 2)
        << x;
  }
  for (double x = 0.5; x < 2; x += 0.000137) {
    ASSERT_LE(Ulps(PortableLog(x), std::log(static_cast<long double>(x))), 2)
        << x;
  }
  EXPECT_EQ(PortableLog(1), 0);
}

TEST(PortableMathTest, SineAndCosineAreNear) {
  for (double x = -1100; x < 1100; x += 0.00713) {
    const long double wide = static_cast<long double>(x);
    ASSERT_LE(Ulps(PortableSin(x), std::sin(wide)), 2) << x;
    ASSERT_LE(Ulps(PortableCos(x), std::cos(wide)), 2) << x;
  }
  EXPECT_EQ(PortableSin(0), 0);
  EXPECT_EQ(PortableCos(0), 1);
}

}  // namespace
}  // namespace ddgan
