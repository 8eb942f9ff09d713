#include "engine/kernels/normal_noise.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#include "engine/diffusion/philox.h"
#include "every_target.h"

namespace ddgan::kernels {
namespace {

class NormalNoise : public EveryTarget {};

std::vector<float> Draw(const NoiseKey& key, int64_t count) {
  std::vector<float> values(count);
  FillNormal(key, count, values.data());
  return values;
}

TEST_P(NormalNoise, APrefixDoesNotDependOnTheLength) {
  const NoiseKey key{7, 3, 2, NoiseStream::kLatent};
  const std::vector<float> all = Draw(key, 1024);
  for (const int64_t count : {1, 2, 3, 4, 5, 100, 1023}) {
    const std::vector<float> part = Draw(key, count);
    for (int64_t i = 0; i < count; ++i) EXPECT_EQ(part[i], all[i]);
  }
}

TEST_P(NormalNoise, EveryPartOfTheKeyMatters) {
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

TEST_P(NormalNoise, HasTheMomentsOfANormal) {
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

// The formula by the C library's functions, which may differ in the last bits.
TEST_P(NormalNoise, IsThatOfTheFormula) {
  const NoiseKey key{11, 5, 1, NoiseStream::kPosterior};
  const std::vector<float> values = Draw(key, 100'000);
  for (size_t i = 0; i < values.size(); i += 4) {
    float block[4];
    NormalBlock(key, static_cast<uint32_t>(i / 4), block);
    for (size_t j = 0; j < 4; ++j) {
      EXPECT_NEAR(values[i + j], block[j], 2e-6 * std::fabs(block[j]) + 1e-9);
    }
  }
}

TEST_P(NormalNoise, HasTheSameBitsEverywhere) {
  uint64_t hash = 14695981039346656037u;
  for (const float value : Draw({3, 1, 0, NoiseStream::kInitial}, 100'000)) {
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof(bits));
    hash = (hash ^ bits) * 1099511628211u;
  }
  EXPECT_EQ(hash, uint64_t{13794365162287541262u});
}

DDGAN_ON_EVERY_TARGET(NormalNoise);

}  // namespace
}  // namespace ddgan::kernels
