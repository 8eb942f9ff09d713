#include "trainer/step/training_draws.h"

#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include "tests/golden/fixture.h"
#include "trainer/dataset/data_order.h"

namespace ddgan {
namespace {

using golden::MaxAbsDifference;

constexpr DrawShapes kShapes = {
    .channels = 3, .height = 8, .width = 8, .nz = 5, .num_timesteps = 4};

TEST(TrainingDrawsTest, AreAFunctionOfSeedAndStep) {
  TrainingDraws a(kShapes, 7, {0, 1, 2, 3}, at::kCPU);
  TrainingDraws b(kShapes, 7, {0, 1, 2, 3}, at::kCPU);
  TrainingDraws other(kShapes, 8, {0, 1, 2, 3}, at::kCPU);
  b.Draw(99);
  const StepDraws& draws = a.Draw(100);
  EXPECT_EQ(MaxAbsDifference(draws.generator.posterior,
                             b.Draw(100).generator.posterior),
            0);
  EXPECT_GT(
      MaxAbsDifference(draws.discriminator.z, other.Draw(100).discriminator.z),
      0.1);
  EXPECT_GT(MaxAbsDifference(draws.discriminator.z, b.Draw(101).generator.z),
            0.1);
}

TEST(TrainingDrawsTest, ArePerRowHoweverTheBatchIsShared) {
  TrainingDraws whole(kShapes, 7, RowsOfSlot(8, 1, 0), at::kCPU);
  const StepDraws& all = whole.Draw(3);
  for (const int slot : {0, 1}) {
    const std::vector<uint32_t> rows = RowsOfSlot(8, 2, slot);
    TrainingDraws part(kShapes, 7, rows, at::kCPU);
    const StepDraws& some = part.Draw(3);
    for (size_t i = 0; i < rows.size(); ++i) {
      const HalfStepDraws expected = all.discriminator.Rows(rows[i], 1);
      const HalfStepDraws got =
          some.discriminator.Rows(static_cast<int64_t>(i), 1);
      EXPECT_TRUE(got.t.equal(expected.t));
      EXPECT_TRUE(got.step_noise.equal(expected.step_noise));
      EXPECT_TRUE(got.noise.equal(expected.noise));
      EXPECT_TRUE(got.z.equal(expected.z));
      EXPECT_TRUE(got.posterior.equal(expected.posterior));
    }
  }
}

TEST(TrainingDrawsTest, ADenoiserTakesTwoTensorsOfTheGeneratorsHalf) {
  TrainingDraws all(kShapes, 7, {0, 1, 2, 3}, at::kCPU);
  TrainingDraws some(kShapes, 7, {0, 1, 2, 3}, at::kCPU,
                     DrawnTensors::kDenoising);
  const HalfStepDraws& expected = all.Draw(3).generator;
  const StepDraws& draws = some.Draw(3);
  EXPECT_TRUE(draws.generator.t.equal(expected.t));
  EXPECT_TRUE(draws.generator.noise.equal(expected.noise));
  EXPECT_TRUE(
      draws.generator.Rows(1, 2).noise.equal(expected.Rows(1, 2).noise));
  for (const at::Tensor& unused :
       {draws.generator.step_noise, draws.generator.z,
        draws.generator.posterior, draws.discriminator.t}) {
    EXPECT_FALSE(unused.defined());
  }
}

TEST(TrainingDrawsTest, HaveTheMomentsOfTheirDistributions) {
  std::vector<uint32_t> rows(4000);
  for (size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<uint32_t>(i);
  TrainingDraws many(kShapes, 1, rows, at::kCPU);
  const HalfStepDraws& draws = many.Draw(0).generator;
  for (int64_t t = 0; t < 4; ++t) {
    // 1000 expected, standard deviation 27.
    EXPECT_NEAR((draws.t == t).sum().item<int64_t>(), 1000, 140);
  }
  for (const at::Tensor& normal :
       {draws.step_noise, draws.noise, draws.z, draws.posterior}) {
    const auto n = static_cast<double>(normal.numel());
    EXPECT_NEAR(normal.mean().item<double>(), 0, 5 / std::sqrt(n));
    EXPECT_NEAR(normal.square().mean().item<double>(), 1, 5 * std::sqrt(2 / n));
  }
  // Two tensors of one shape are not the same numbers.
  EXPECT_LT(std::abs((draws.step_noise * draws.noise).mean().item<double>()),
            5 / std::sqrt(static_cast<double>(draws.noise.numel())));
}

}  // namespace
}  // namespace ddgan
