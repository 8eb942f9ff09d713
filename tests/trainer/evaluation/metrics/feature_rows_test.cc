#include "trainer/evaluation/metrics/feature_rows.h"

#include <cmath>
#include <limits>

#include "feature_fixture.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ddgan {
namespace {

TEST(CheckFeaturesTest, NamesTheRowOfWhatIsNotFiniteOrTooLarge) {
  OwnedRows rows(3, std::vector<float>(12));
  EXPECT_TRUE(CheckFeatures("the features", rows.view(), 4).ok());
  rows.at(2, 1) = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(CheckFeatures("the features", rows.view(), 4),
            absl::InvalidArgumentError("row 2 of the features has nan at 1, "
                                       "must be in [-1e+15, 1e+15]"));
  rows.at(2, 1) = kLargestFeature;
  EXPECT_TRUE(CheckFeatures("the features", rows.view(), 4).ok());
  rows.at(3, 2) = -std::numeric_limits<float>::infinity();
  EXPECT_EQ(CheckFeatures("the features", rows.view(), 4),
            absl::InvalidArgumentError("row 3 of the features has -inf at 2, "
                                       "must be in [-1e+15, 1e+15]"));
  rows.at(0, 0) = 2e15f;
  EXPECT_EQ(CheckFeatures("the features", rows.view(), 4),
            absl::InvalidArgumentError("row 0 of the features has 2e+15 at 0, "
                                       "must be in [-1e+15, 1e+15]"));
}

TEST(CheckFeaturesTest, RefusesTooFewRowsAndRowsOfNothing) {
  const OwnedRows rows(3, std::vector<float>(12));
  EXPECT_EQ(CheckFeatures("the features", rows.view(), 5),
            absl::InvalidArgumentError(
                "the features have 4 rows, must have at least 5"));
  EXPECT_EQ(CheckFeatures("the features", {nullptr, 4, 0}, 2),
            absl::InvalidArgumentError(
                "the features are rows of 0, must be at least 1"));
}

TEST(CheckFeaturesTest, ComparesOnlyRowsOfOneLength) {
  const OwnedRows threes(3, std::vector<float>(12));
  const OwnedRows fours(4, std::vector<float>(12));
  EXPECT_TRUE(CheckFeatures(threes.view(), threes.view(), 4).ok());
  EXPECT_EQ(CheckFeatures(threes.view(), fours.view(), 1),
            absl::InvalidArgumentError(
                "the real features are rows of 3, the generated features of "
                "4, must be as many"));
  EXPECT_EQ(CheckFeatures(fours.view(), fours.view(), 4),
            absl::InvalidArgumentError(
                "the real features have 3 rows, must have at least 4"));
}

TEST(CheckFeaturesTest, SaysWhichSetIsBad) {
  const OwnedRows good(1, std::vector<float>(4));
  OwnedRows bad(1, std::vector<float>(4));
  bad.at(1, 0) = INFINITY;
  EXPECT_EQ(CheckFeatures(good.view(), bad.view(), 1).message(),
            "row 1 of the generated features has inf at 0, must be in "
            "[-1e+15, 1e+15]");
  EXPECT_EQ(CheckFeatures(bad.view(), good.view(), 1).message(),
            "row 1 of the real features has inf at 0, must be in [-1e+15, "
            "1e+15]");
}

}  // namespace
}  // namespace ddgan
