#include "trainer/evaluation/metrics/kernel_distance.h"

#include <cmath>
#include <vector>

#include "feature_fixture.h"
#include "gtest/gtest.h"

namespace ddgan {
namespace {

double Kernel(const FeatureRows& a, int64_t i, const FeatureRows& b,
              int64_t j) {
  double product = 0;
  for (int64_t k = 0; k < a.features; ++k) {
    product += static_cast<double>(a.values[i * a.features + k]) *
               b.values[j * b.features + k];
  }
  const double base = product / static_cast<double>(a.features) + 1;
  return base * base * base;
}

// By the definition.
double PlainDistance(const FeatureRows& a, const FeatureRows& b) {
  double own = 0, cross = 0;
  for (int64_t i = 0; i < a.rows; ++i) {
    for (int64_t j = 0; j < a.rows; ++j) {
      if (i != j) own += Kernel(a, i, a, j) + Kernel(b, i, b, j);
      cross += Kernel(a, i, b, j);
    }
  }
  const double n = static_cast<double>(a.rows);
  return own / (n * (n - 1)) - 2 * cross / (n * n);
}

class KernelDistanceTest : public testing::Test {
 protected:
  const FixtureSets sets_;
  const OwnedRows real_{8, sets_.real};
  const OwnedRows generated_{8, sets_.generated};
};

TEST_F(KernelDistanceTest, OfAllRowsIsThatOfNumpy) {
  const auto distance = KernelDistanceOfAll(real_.view(), generated_.view());
  ASSERT_TRUE(distance.ok()) << distance.status();
  // 0.01094305620614 before the features were rounded to float32.
  EXPECT_NEAR(*distance, 0.01094305606012, 1e-13);
}

TEST_F(KernelDistanceTest, CrossesBlocksOfRows) {
  // More than two blocks, the last one incomplete.
  FixtureNumbers numbers;
  const OwnedRows a(1, numbers.Draw(2100));
  const OwnedRows b(1, numbers.Draw(2100, 0.5, 0.7));
  EXPECT_NEAR(*KernelDistanceOfAll(a.view(), b.view()),
              PlainDistance(a.view(), b.view()), 1e-11);
}

TEST_F(KernelDistanceTest, OfASubsetOfAllRowsIsThatOfAllRows) {
  const auto distance =
      KernelDistanceOfSubsets(real_.view(), generated_.view(),
                              {.subsets = 3, .subset = 256, .seed = 5});
  ASSERT_TRUE(distance.ok()) << distance.status();
  // In another order: each row is there exactly once.
  EXPECT_NEAR(distance->mean, 0.01094305606012, 1e-12);
  EXPECT_NEAR(distance->stddev, 0, 1e-12);
  EXPECT_EQ(distance->subsets, 3);
  EXPECT_EQ(distance->subset, 256);
}

TEST_F(KernelDistanceTest, SubsetsAreNoLargerThanTheSmallerSet) {
  const auto distance = KernelDistanceOfSubsets(
      real_.view(), {generated_.view().values, 30, 8}, {.subsets = 2});
  ASSERT_TRUE(distance.ok()) << distance.status();
  EXPECT_EQ(distance->subset, 30);
}

TEST_F(KernelDistanceTest, SubsetsSpreadAroundTheDistanceOfAll) {
  const KernelDistanceOptions options{.subsets = 400, .subset = 40, .seed = 1};
  const auto distance =
      KernelDistanceOfSubsets(real_.view(), generated_.view(), options);
  ASSERT_TRUE(distance.ok()) << distance.status();
  EXPECT_GT(distance->stddev, 0.001);
  // Unbiased, so 5 standard errors hold it.
  EXPECT_NEAR(distance->mean, 0.010943, 5 * distance->stddev / 20);
  // The subsets are the seed's.
  const auto again =
      KernelDistanceOfSubsets(real_.view(), generated_.view(), options);
  EXPECT_NEAR(again->mean, distance->mean, 1e-12);
  const auto others =
      KernelDistanceOfSubsets(real_.view(), generated_.view(),
                              {.subsets = 400, .subset = 40, .seed = 2});
  EXPECT_GT(std::abs(others->mean - distance->mean), 1e-9);
}

// Were the rows of the two sets drawn alike, each subset would meet itself
// here. That gives -2 / 40 of what a row's kernel with itself exceeds one with
// another by, which is 0.27: -0.014. Drawn apart, one row in 256 does: -0.002.
TEST_F(KernelDistanceTest, SubsetsOfTheTwoSetsAreDrawnApart) {
  const auto distance = KernelDistanceOfSubsets(
      real_.view(), real_.view(), {.subsets = 400, .subset = 40, .seed = 1});
  ASSERT_TRUE(distance.ok()) << distance.status();
  EXPECT_NEAR(distance->mean, -0.002, 0.004);
}

TEST_F(KernelDistanceTest, OfConstantRowsIsThatOfTheTwoPoints) {
  const OwnedRows a(2, std::vector<float>(10, 1));
  const OwnedRows b(2, std::vector<float>(10, 2));
  // k(a,a) + k(b,b) - 2 k(a,b) = 2^3 + 5^3 - 2 * 3^3
  EXPECT_DOUBLE_EQ(*KernelDistanceOfAll(a.view(), b.view()), 79);
}

TEST_F(KernelDistanceTest, RefusesWhatIsOutOfRange) {
  const auto refusal = [&](const KernelDistanceOptions& options) {
    return KernelDistanceOfSubsets(real_.view(), generated_.view(), options)
        .status();
  };
  EXPECT_EQ(refusal({.subsets = 0}),
            absl::InvalidArgumentError("subsets is 0, must be in [1, 10000]"));
  EXPECT_EQ(
      refusal({.subsets = 10001}),
      absl::InvalidArgumentError("subsets is 10001, must be in [1, 10000]"));
  EXPECT_EQ(refusal({.subset = 1}),
            absl::InvalidArgumentError("subset is 1, must be in [2, 10000]"));
  EXPECT_EQ(
      refusal({.subset = 10001}),
      absl::InvalidArgumentError("subset is 10001, must be in [2, 10000]"));
}

TEST_F(KernelDistanceTest, RefusesSetsThatDoNotFit) {
  const FeatureRows real = real_.view();
  EXPECT_EQ(KernelDistanceOfAll(real, {real.values, 255, 8}).status(),
            absl::InvalidArgumentError(
                "the real features have 256 rows, the generated features 255, "
                "must have as many"));
  EXPECT_EQ(
      KernelDistanceOfAll({real.values, 1, 8}, {real.values, 1, 8}).status(),
      absl::InvalidArgumentError(
          "the real features have 1 rows, must have at least 2"));
  EXPECT_EQ(KernelDistanceOfSubsets(real, {real.values, 256, 4}, {}).status(),
            absl::InvalidArgumentError(
                "the real features are rows of 8, the generated features of "
                "4, must be as many"));
  OwnedRows bad(8, sets_.real);
  bad.at(200, 7) = NAN;
  for (const absl::Status& status :
       {KernelDistanceOfSubsets(real, bad.view(), {}).status(),
        KernelDistanceOfAll(real, bad.view()).status()}) {
    EXPECT_EQ(status, absl::InvalidArgumentError(
                          "row 200 of the generated features has nan at 7, "
                          "must be in [-1e+15, 1e+15]"));
  }
}

}  // namespace
}  // namespace ddgan
