#include "trainer/evaluation/metrics/inception_score.h"

#include <cmath>
#include <vector>

#include "absl/strings/str_cat.h"
#include "feature_fixture.h"
#include "gtest/gtest.h"

namespace ddgan {
namespace {

TEST(InceptionScoreTest, OfSureAndEvenGuessesIsTheNumberOfClasses) {
  const OwnedRows rows(3, std::vector<float>{1, 0, 0,  //
                                             0, 1, 0,  //
                                             0, 0, 1});
  const auto score = InceptionScoreOf(rows.view(), 1);
  ASSERT_TRUE(score.ok()) << score.status();
  EXPECT_NEAR(score->mean, 3, 1e-12);
  EXPECT_EQ(score->stddev, 0);
  EXPECT_EQ(score->splits, 1);
}

TEST(InceptionScoreTest, OfGuessesThatAreAllAlikeIsOne) {
  const OwnedRows rows(2, std::vector<float>{0.75f, 0.25f, 0.75f, 0.25f});
  EXPECT_NEAR(InceptionScoreOf(rows.view(), 1)->mean, 1, 1e-15);
}

TEST(InceptionScoreTest, IsWorkedOutByHand) {
  const OwnedRows rows(2, std::vector<float>{0.75f, 0.25f, 0.25f, 0.75f});
  // The mean is even: each row diverges by ln 2 less its own entropy.
  const double entropy = -0.75 * std::log(0.75) - 0.25 * std::log(0.25);
  EXPECT_NEAR(InceptionScoreOf(rows.view(), 1)->mean, 2 * std::exp(-entropy),
              1e-12);
}

TEST(InceptionScoreTest, SplitsAreConsecutiveAndTheRestIsLeftOut) {
  // Scores 2, 1 and, were it looked at, a row more.
  const OwnedRows rows(2, std::vector<float>{1, 0, 0, 1,  //
                                             1, 0, 1, 0,  //
                                             0, 1});
  const auto score = InceptionScoreOf(rows.view(), 2);
  ASSERT_TRUE(score.ok()) << score.status();
  EXPECT_NEAR(score->mean, 1.5, 1e-12);
  EXPECT_NEAR(score->stddev, 0.5, 1e-12);  // Of the population.
  EXPECT_EQ(score->splits, 2);
}

TEST(InceptionScoreTest, RefusesWhatIsNoDistribution) {
  EXPECT_EQ(
      InceptionScoreOf(
          OwnedRows(2, std::vector<float>{0.5f, 0.5f, 0.5f, 0.25f}).view(), 1)
          .status(),
      absl::InvalidArgumentError(
          "row 1 of the probabilities has the sum 0.75, must be 1"));
  EXPECT_EQ(
      InceptionScoreOf(
          OwnedRows(2, std::vector<float>{0.5f, 0.5f, -0.5f, 1.5f}).view(), 1)
          .status(),
      absl::InvalidArgumentError("row 1 of the probabilities has -0.5 at "
                                 "0, must be in [0, 1]"));
  EXPECT_EQ(
      InceptionScoreOf(OwnedRows(2, std::vector<float>{0.5f, NAN}).view(), 1)
          .status(),
      absl::InvalidArgumentError(
          "row 0 of the probabilities has nan at 1, must be in [0, 1]"));
  EXPECT_EQ(
      InceptionScoreOf(OwnedRows(2, std::vector<float>{0, INFINITY}).view(), 1)
          .status(),
      absl::InvalidArgumentError(
          "row 0 of the probabilities has the sum inf, must be 1"));
}

TEST(InceptionScoreTest, RefusesMoreSplitsThanRows) {
  const OwnedRows rows(1, std::vector<float>{1, 1, 1});
  EXPECT_TRUE(InceptionScoreOf(rows.view(), 3).ok());
  for (const int splits : {0, 4}) {
    EXPECT_EQ(InceptionScoreOf(rows.view(), splits).status(),
              absl::InvalidArgumentError(
                  absl::StrCat("splits is ", splits, ", must be in [1, 3]")));
  }
  EXPECT_EQ(InceptionScoreOf({nullptr, 0, 10}, 1).status(),
            absl::InvalidArgumentError(
                "the probabilities have 0 rows, must have at least 1"));
  EXPECT_EQ(InceptionScoreOf({nullptr, 1, 0}, 1).status(),
            absl::InvalidArgumentError(
                "the probabilities are rows of 0, must be at least 1"));
}

}  // namespace
}  // namespace ddgan
