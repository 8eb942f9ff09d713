// The filter as a thread of the GPU runs it, against the CPU kernels, which are
// held against the reference.
#include "engine/model/fir_pass.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "engine/model/nhwc_kernels.h"

namespace ddgan {
namespace {

std::vector<float> Values(int64_t count) {
  std::vector<float> values(count);
  for (int64_t i = 0; i < count; ++i) {
    values[i] = std::sin(static_cast<float>(i) * 1.7f);
  }
  return values;
}

template <int kWidth>
void ExpectValuesEqualCpuKernel(const FirPass& pass) {
  const std::vector<float> in =
      Values(int64_t{1} * pass.height * pass.width * pass.channels);
  std::vector<float> expected(pass.out_height * pass.out_width * pass.channels);
  const nhwc::Taps taps = {pass.taps[0], pass.taps[1], pass.taps[2],
                           pass.taps[3]};
  switch (pass.mode) {
    case FirMode::kDown:
      nhwc::FirDown(in.data(), pass.height, pass.width, pass.channels, taps,
                    expected.data());
      break;
    case FirMode::kUp:
      nhwc::FirUp(in.data(), pass.height, pass.width, pass.channels, taps,
                  expected.data());
      break;
    case FirMode::kFilter:
      nhwc::FirFilter(in.data(), pass.height, pass.width, pass.channels, taps,
                      pass.pad, expected.data());
      break;
  }
  size_t i = 0;
  for (int y = 0; y < pass.out_height; ++y) {
    for (int x = 0; x < pass.out_width; ++x) {
      for (int c = 0; c < pass.channels; c += kWidth) {
        const auto values = FirValues<float, kWidth>(pass, in.data(), y, x, c);
        for (const float value : values.values) {
          EXPECT_NEAR(value, expected[i++], 1e-6) << y << ' ' << x << ' ' << c;
        }
      }
    }
  }
}

// Of single channels, and of four at once.
void ExpectEqualsCpuKernel(FirPass pass) {
  ExpectValuesEqualCpuKernel<1>(pass);
  pass.channels = 8;
  ExpectValuesEqualCpuKernel<4>(pass);
}

TEST(FirPassTest, DownEqualsTheCpuKernel) {
  ExpectEqualsCpuKernel(
      {FirMode::kDown, {0.1f, 0.2f, 0.3f, 0.4f}, 0, 1, 8, 6, 5, 4, 3});
}

TEST(FirPassTest, UpEqualsTheCpuKernel) {
  ExpectEqualsCpuKernel(
      {FirMode::kUp, {0.1f, 0.2f, 0.3f, 0.4f}, 0, 1, 4, 3, 5, 8, 6});
}

TEST(FirPassTest, FilterEqualsTheCpuKernel) {
  ExpectEqualsCpuKernel(
      {FirMode::kFilter, {0.1f, 0.2f, 0.3f, 0.4f}, 2, 1, 8, 6, 5, 9, 7});
  ExpectEqualsCpuKernel(
      {FirMode::kFilter, {0.1f, 0.2f, 0.3f, 0.4f}, 1, 1, 8, 6, 5, 7, 5});
}

}  // namespace
}  // namespace ddgan
