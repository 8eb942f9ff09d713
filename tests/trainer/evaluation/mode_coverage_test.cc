#include "trainer/evaluation/mode_coverage.h"

#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ddgan {
namespace {

TEST(GaussianCoverageTest, CountsPointsWithinThreeStandardDeviations) {
  // Mode 12 is at the origin, mode 24 at (4, 4).
  const std::vector<float> points = {0,     0,      0.1f, 0.1f,  //
                                     0,     0.149f,              //
                                     0,     0.151f,              // Too far.
                                     0.11f, 0.11f,               // Too far.
                                     4.05f, 3.95f,               //
                                     1,     1,                   // Nowhere.
                                     100,   100};
  const auto coverage = CoverageOfGaussians(points);
  ASSERT_TRUE(coverage.ok()) << coverage.status();
  EXPECT_EQ(coverage->points, 8u);
  EXPECT_EQ(coverage->high_quality[12], 3);
  EXPECT_EQ(coverage->high_quality[24], 1);
  EXPECT_EQ(std::accumulate(coverage->high_quality.begin(),
                            coverage->high_quality.end(), 0),
            4);
  EXPECT_EQ(coverage->modes_covered, 2);
  EXPECT_DOUBLE_EQ(coverage->high_quality_share, 0.5);
  EXPECT_NEAR(*coverage->kl,
              0.75 * std::log(0.75 * 25) + 0.25 * std::log(0.25 * 25), 1e-12);
}

TEST(GaussianCoverageTest, AModelThatHasThemAllEvenlyDivergesByNothing) {
  std::vector<float> points;
  for (const float x : {-4, -2, 0, 2, 4})
    for (const float y : {-4, -2, 0, 2, 4}) points.insert(points.end(), {x, y});
  auto coverage = CoverageOfGaussians(points);
  EXPECT_EQ(coverage->modes_covered, 25);
  EXPECT_EQ(coverage->high_quality_share, 1);
  EXPECT_NEAR(*coverage->kl, 0, 1e-12);
  // One that has only one.
  coverage = CoverageOfGaussians(std::vector<float>(1000, 2));
  EXPECT_EQ(coverage->modes_covered, 1);
  EXPECT_EQ(coverage->high_quality[18], 500);
  EXPECT_NEAR(*coverage->kl, std::log(25), 1e-12);
}

TEST(GaussianCoverageTest, NothingGoodIsNoDistribution) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float inf = std::numeric_limits<float>::infinity();
  const auto coverage =
      CoverageOfGaussians({nan, 0, 0, nan, inf, 0, 0, -inf, inf, nan, 1, 1});
  ASSERT_TRUE(coverage.ok()) << coverage.status();
  EXPECT_EQ(coverage->points, 6u);
  EXPECT_EQ(coverage->modes_covered, 0);
  EXPECT_EQ(coverage->high_quality_share, 0);
  EXPECT_FALSE(coverage->kl.has_value());
}

TEST(GaussianCoverageTest, TheDataItselfScoresWhatTheoryExpects) {
  constexpr int kPoints = 20000;
  std::vector<uint32_t> rows(kPoints);
  std::iota(rows.begin(), rows.end(), 0u);
  const auto source = GaussianMixture::Create({1, kPoints, rows});
  const auto drawn = (*source)->Batch(0);
  ASSERT_TRUE(drawn.ok()) << drawn.status();
  const auto coverage = CoverageOfGaussians(*drawn);
  EXPECT_EQ(coverage->modes_covered, 25);
  // In two dimensions P(distance < 3 sigma) = 1 - exp(-4.5).
  EXPECT_NEAR(coverage->high_quality_share, 1 - std::exp(-4.5), 0.003);
  // Expected 24 / (2 N) = 0.0006.
  EXPECT_LT(*coverage->kl, 0.002);
}

TEST(GaussianCoverageTest, RefusesHalfAPoint) {
  EXPECT_EQ(CoverageOfGaussians({}).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(CoverageOfGaussians({1, 2, 3}).status(),
            absl::InvalidArgumentError(
                "points has 3 numbers, must be an even number of at least 2"));
}

TEST(StackedDigitCoverageTest, CountsDistinctTriples) {
  const auto coverage = CoverageOfStackedDigits({0, 999, 999, 123});
  ASSERT_TRUE(coverage.ok()) << coverage.status();
  EXPECT_EQ(coverage->samples, 4u);
  EXPECT_EQ(coverage->modes_covered, 3);
  EXPECT_NEAR(coverage->kl, 0.5 * std::log(500) + 2 * 0.25 * std::log(250),
              1e-12);
  EXPECT_NEAR(coverage->kl_floor, 5.52353949652761, 1e-9);
}

TEST(StackedDigitCoverageTest, UniformLabelsDivergeByNothing) {
  std::vector<uint16_t> labels;
  for (int i = 0; i < 26000; ++i)
    labels.push_back(static_cast<uint16_t>(i % 1000));
  auto coverage = CoverageOfStackedDigits(labels);
  EXPECT_EQ(coverage->modes_covered, 1000);
  EXPECT_NEAR(coverage->kl, 0, 1e-12);
  EXPECT_GE(coverage->kl, 0);
  // Python's lgamma says so, too; 999 / 52,000 is 0.01921.
  EXPECT_NEAR(coverage->kl_floor, 0.0193399, 1e-7);
  coverage = CoverageOfStackedDigits({7, 7, 7});
  EXPECT_EQ(coverage->modes_covered, 1);
  EXPECT_NEAR(coverage->kl, std::log(1000), 1e-12);
}

TEST(UniformKlTest, IsThatOfDrawnSamplesOnAverage) {
  EXPECT_NEAR(UniformKl(1, 25), std::log(25), 1e-12);
  // Two samples are of one mode in one of ten cases.
  EXPECT_NEAR(UniformKl(2, 10), 0.1 * std::log(10) + 0.9 * std::log(5), 1e-12);
  EXPECT_NEAR(UniformKl(1'000'000, 10) / (9.0 / 2e6), 1, 1e-4);
}

TEST(DigitCoverageTest, OneDigitHasTenModes) {
  const auto coverage = CoverageOfDigits({3, 3, 3, 9});
  ASSERT_TRUE(coverage.ok()) << coverage.status();
  EXPECT_EQ(coverage->modes, 10);
  EXPECT_EQ(coverage->modes_covered, 2);
  EXPECT_NEAR(coverage->kl, 0.75 * std::log(7.5) + 0.25 * std::log(2.5), 1e-12);
  EXPECT_NEAR(coverage->kl_floor, 1.1157743229053818, 1e-9);
  EXPECT_EQ(CoverageOfDigits({10}).status(),
            absl::InvalidArgumentError("labels has 10, must be in [0, 9]"));
}

TEST(StackedDigitCoverageTest, RefusesWhatIsNoLabel) {
  EXPECT_EQ(CoverageOfStackedDigits({0, 1000}).status(),
            absl::InvalidArgumentError("labels has 1000, must be in [0, 999]"));
  EXPECT_EQ(
      CoverageOfStackedDigits({}).status(),
      absl::InvalidArgumentError("labels is empty, must hold at least one"));
}

}  // namespace
}  // namespace ddgan
