// The gradient of attention: near the differences of its value, and with the
// same bits on every instruction set.
#include "engine/kernels/attention_gradient.h"

#include <gtest/gtest.h>
#include <hwy/targets.h>

#include <cmath>
#include <vector>

#include "engine/kernels/attention.h"
#include "engine/kernels/float_buffer.h"
#include "tests/engine/kernels/every_target.h"

namespace ddgan::kernels {
namespace {

using Floats = std::vector<float>;

Floats Value(const Floats& qkv, int64_t pixels, int64_t channels) {
  Floats y(static_cast<size_t>(pixels * channels));
  ThreadPool caller(1);
  const FloatBuffer scratch =
      NewFloatBuffer(AttentionScratch(1, pixels, channels));
  Attend(qkv.data(), 1, pixels, channels, y.data(), scratch.get(), caller);
  return y;
}

Floats Gradient(const Floats& qkv, const Floats& dy, int64_t pixels,
                int64_t channels) {
  const Floats y = Value(qkv, pixels, channels);
  Floats gradient(qkv.size());
  const FloatBuffer scratch =
      NewFloatBuffer(AttentionGradientScratch(pixels, channels));
  AttendBackward(qkv.data(), y.data(), dy.data(), pixels, channels,
                 gradient.data(), scratch.get());
  return gradient;
}

class AttentionGradient : public EveryTarget {};

TEST_P(AttentionGradient, IsTheChangeOfTheValue) {
  for (const int64_t pixels : {1, 9, 40}) {
    const int64_t channels = 16;
    const Floats qkv = RandomFloats(pixels * 3 * channels, 1);
    const Floats dy = RandomFloats(pixels * channels, 2);
    const Floats gradient = Gradient(qkv, dy, pixels, channels);
    const auto loss = [&](const Floats& at) {
      const Floats y = Value(at, pixels, channels);
      double sum = 0;
      for (size_t i = 0; i < y.size(); ++i) {
        sum += static_cast<double>(y[i]) * static_cast<double>(dy[i]);
      }
      return sum;
    };
    constexpr float kStep = 1e-2f;
    for (size_t i = 0; i < qkv.size(); i += 7) {
      Floats more = qkv, less = qkv;
      more[i] += kStep;
      less[i] -= kStep;
      EXPECT_NEAR(gradient[i], (loss(more) - loss(less)) / (2 * kStep), 1e-3)
          << pixels << ' ' << i;
    }
    hwy::SetSupportedTargetsForTest(HWY_SCALAR);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    EXPECT_EQ(Gradient(qkv, dy, pixels, channels), gradient) << pixels;
    SetUp();
  }
}

DDGAN_ON_EVERY_TARGET(AttentionGradient);

}  // namespace
}  // namespace ddgan::kernels
