#include "engine/diffusion/philox.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

namespace ddgan {
namespace {

// Random123 1.14, tests/kat_vectors, "philox4x32 10".
TEST(PhiloxTest, MatchesRandom123KnownAnswers) {
  const struct {
    Philox4 counter;
    uint32_t key[2];
    Philox4 expected;
  } cases[] = {
      {{{0, 0, 0, 0}},
       {0, 0},
       {{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}}},
      {{{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}},
       {0xffffffff, 0xffffffff},
       {{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}}},
      {{{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}},
       {0xa4093822, 0x299f31d0},
       {{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}}},
  };
  for (const auto& known : cases) {
    const Philox4 actual = Philox4x32_10(known.counter, known.key);
    for (int i = 0; i < 4; ++i) EXPECT_EQ(actual.w[i], known.expected.w[i]);
  }
}

TEST(BoxMullerTest, MapsWordsAsTheFormulaSays) {
  for (const uint32_t w0 : {0u, 1u, 12345u, 0x80000000u, 0xffffffffu}) {
    for (const uint32_t w1 : {0u, 7u, 0x40000000u, 0xffffffffu}) {
      float first = 0, second = 0;
      BoxMuller(w0, w1, &first, &second);
      const double u = w0 * 0x1p-32 + 0x1p-33;
      const double v = (w1 * 0x1p-32 + 0x1p-33) * 6.283185307179586;
      const double r = std::sqrt(-2 * std::log(std::min(u, 1.0)));
      EXPECT_TRUE(std::isfinite(first) && std::isfinite(second));
      // float(w0) may round up to 2^32, where u is 1 and r is 0.
      EXPECT_NEAR(first, r * std::sin(v), 2e-5 * r + 2e-5);
      EXPECT_NEAR(second, r * std::cos(v), 2e-5 * r + 2e-5);
    }
  }
}

}  // namespace
}  // namespace ddgan
