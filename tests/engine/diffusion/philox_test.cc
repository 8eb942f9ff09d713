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

std::vector<float> Draw(const NoiseKey& key, int64_t count) {
  std::vector<float> values(count);
  FillNormal(key, count, values.data());
  return values;
}

TEST(FillNormalTest, APrefixDoesNotDependOnTheLength) {
  const NoiseKey key{7, 3, 2, NoiseStream::kLatent};
  const std::vector<float> all = Draw(key, 1024);
  for (const int64_t count : {1, 2, 3, 4, 5, 100, 1023}) {
    const std::vector<float> part = Draw(key, count);
    for (int64_t i = 0; i < count; ++i) EXPECT_EQ(part[i], all[i]);
  }
}

TEST(FillNormalTest, EveryPartOfTheKeyMatters) {
  const NoiseKey key{7, 3, 2, NoiseStream::kLatent};
  const std::vector<float> base = Draw(key, 16);
  for (const NoiseKey& other :
       {NoiseKey{8, 3, 2, NoiseStream::kLatent},
        NoiseKey{7 + (uint64_t{1} << 32), 3, 2, NoiseStream::kLatent},
        NoiseKey{7, 4, 2, NoiseStream::kLatent},
        NoiseKey{7, 3, 1, NoiseStream::kLatent},
        NoiseKey{7, 3, 2, NoiseStream::kPosterior}}) {
    EXPECT_NE(Draw(other, 16), base);
  }
}

TEST(FillNormalTest, HasTheMomentsOfANormal) {
  const std::vector<float> values =
      Draw({1, 0, 4, NoiseStream::kInitial}, 1 << 20);
  double sum = 0, squares = 0, fourth = 0;
  for (const float value : values) {
    sum += value;
    squares += value * value;
    fourth += std::pow(value, 4);
  }
  const double n = static_cast<double>(values.size());
  EXPECT_NEAR(sum / n, 0, 5e-3);
  EXPECT_NEAR(squares / n, 1, 1e-2);
  EXPECT_NEAR(fourth / n, 3, 5e-2);
}

}  // namespace
}  // namespace ddgan
