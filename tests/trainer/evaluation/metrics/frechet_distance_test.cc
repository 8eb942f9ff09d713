#include "trainer/evaluation/metrics/frechet_distance.h"

#include <cmath>
#include <limits>
#include <vector>

#include "feature_fixture.h"
#include "gtest/gtest.h"

namespace ddgan {
namespace {

// By the definition, of doubles.
FeatureStatistics PlainStatistics(const std::vector<double>& values,
                                  int64_t features) {
  const int64_t rows = static_cast<int64_t>(values.size()) / features;
  FeatureStatistics statistics{
      .rows = rows,
      .mean = std::vector<double>(features),
      .covariance = std::vector<double>(features * features)};
  for (int64_t i = 0; i < rows * features; ++i) {
    statistics.mean[i % features] += values[i] / static_cast<double>(rows);
  }
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t i = 0; i < features; ++i) {
      for (int64_t j = 0; j < features; ++j) {
        statistics.covariance[i * features + j] +=
            (values[row * features + i] - statistics.mean[i]) *
            (values[row * features + j] - statistics.mean[j]) /
            static_cast<double>(rows - 1);
      }
    }
  }
  return statistics;
}

// By the implementation, of what is left of them in float32.
FeatureStatistics StatisticsOfValues(const std::vector<double>& values,
                                     int64_t features) {
  const OwnedRows rows(features, values);
  const auto statistics = StatisticsOf(rows.view());
  EXPECT_TRUE(statistics.ok()) << statistics.status();
  return *statistics;
}

TEST(FrechetDistanceTest, IsThatOfNumpyAndScipy) {
  const FixtureSets sets;
  // numpy 1.26.4 and scipy's sqrtm, from doubles.
  auto distance = FrechetDistance(PlainStatistics(sets.real, 8),
                                  PlainStatistics(sets.generated, 8));
  ASSERT_TRUE(distance.ok()) << distance.status();
  EXPECT_NEAR(*distance, 0.04846009143145, 1e-12);
  // The same after the features were rounded to float32.
  distance = FrechetDistance(StatisticsOfValues(sets.real, 8),
                             StatisticsOfValues(sets.generated, 8));
  ASSERT_TRUE(distance.ok()) << distance.status();
  EXPECT_NEAR(*distance, 0.04846009101604, 1e-12);
}

TEST(FrechetDistanceTest, IsSymmetricAndZeroBetweenEqualSets) {
  const FixtureSets sets;
  const FeatureStatistics real = StatisticsOfValues(sets.real, 8);
  const FeatureStatistics generated = StatisticsOfValues(sets.generated, 8);
  EXPECT_NEAR(*FrechetDistance(real, generated),
              *FrechetDistance(generated, real), 1e-12);
  EXPECT_NEAR(*FrechetDistance(real, real), 0, 1e-12);
}

TEST(FrechetDistanceTest, OfGaussiansInOneDimensionIsKnown) {
  // (m1 - m2)^2 + (s1 - s2)^2
  const FeatureStatistics a{.rows = 9, .mean = {1}, .covariance = {4}};
  const FeatureStatistics b{.rows = 9, .mean = {-2}, .covariance = {25}};
  EXPECT_DOUBLE_EQ(*FrechetDistance(a, b), 9 + 9);
}

TEST(FrechetDistanceTest, OfAModelThatMakesOnePictureIsTheDataSpread) {
  const FixtureSets sets;
  const FeatureStatistics real = StatisticsOfValues(sets.real, 8);
  const FeatureStatistics constant =
      StatisticsOfValues(std::vector<double>(256 * 8, 0.1), 8);
  for (const double value : constant.covariance) EXPECT_EQ(value, 0);
  double expected = 0;
  for (int64_t i = 0; i < 8; ++i) {
    const double difference = real.mean[i] - 0.1f;
    expected += difference * difference + real.covariance[i * 8 + i];
  }
  EXPECT_NEAR(*FrechetDistance(real, constant), expected, 1e-12);
  EXPECT_NEAR(*FrechetDistance(constant, real), expected, 1e-12);
  EXPECT_EQ(*FrechetDistance(constant, constant), 0);
}

// Fewer rows than features: the covariance is singular.
TEST(FrechetDistanceTest, OfSingularCovariancesIsFinite) {
  const FixtureSets sets;
  const FeatureStatistics real = StatisticsOfValues(sets.real, 64);
  const FeatureStatistics generated = StatisticsOfValues(sets.generated, 64);
  ASSERT_EQ(real.rows, 32);
  // By the nuclear norm of the product of the two sets' centred rows, which
  // needs no root of a covariance (numpy 1.26.4).
  EXPECT_NEAR(*FrechetDistance(real, generated), 4.76193131371782, 1e-6);
}

TEST(FeatureStatisticsTest, CrossBlocksOfRows) {
  // Far from 0, where sums of squares would lose the covariance.
  constexpr int64_t kRows = 2500, kFeatures = 3;
  FixtureNumbers numbers;
  std::vector<double> values = numbers.Draw(kRows * kFeatures, 1, 1000);
  for (double& value : values) value = static_cast<float>(value);
  const FeatureStatistics expected = PlainStatistics(values, kFeatures);
  const FeatureStatistics found = StatisticsOfValues(values, kFeatures);
  EXPECT_EQ(found.rows, kRows);
  for (int64_t i = 0; i < kFeatures; ++i) {
    EXPECT_NEAR(found.mean[i], expected.mean[i], 1e-9);
  }
  for (int64_t i = 0; i < kFeatures * kFeatures; ++i) {
    EXPECT_NEAR(found.covariance[i], expected.covariance[i], 1e-12);
  }
}

TEST(FeatureStatisticsTest, RefuseOneRowAndWhatIsNotFinite) {
  OwnedRows rows(2, std::vector<float>(6));
  EXPECT_EQ(StatisticsOf({rows.view().values, 1, 2}).status(),
            absl::InvalidArgumentError(
                "the features have 1 rows, must have at least 2"));
  rows.at(1, 0) = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(StatisticsOf(rows.view()).status(),
            absl::InvalidArgumentError("row 1 of the features has nan at 0, "
                                       "must be in [-1e+15, 1e+15]"));
}

TEST(FrechetDistanceTest, RefusesStatisticsThatDoNotFit) {
  const FeatureStatistics one{.rows = 9, .mean = {1}, .covariance = {4}};
  const FeatureStatistics two{
      .rows = 9, .mean = {1, 1}, .covariance = {4, 0, 0, 4}};
  const FeatureStatistics broken{.rows = 9, .mean = {1, 1}, .covariance = {4}};
  EXPECT_EQ(FrechetDistance(one, two).status(),
            absl::InvalidArgumentError(
                "the real statistics are of 1 features, the generated "
                "statistics of 2, must be as many"));
  EXPECT_EQ(FrechetDistance(two, broken).status(),
            absl::InvalidArgumentError(
                "the generated statistics have 2 means and 1 covariances, must "
                "have the square of the means"));
}

}  // namespace
}  // namespace ddgan
