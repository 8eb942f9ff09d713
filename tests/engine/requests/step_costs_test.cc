#include "engine/requests/step_costs.h"

#include <gtest/gtest.h>

#include "engine/api/batch_bucket.h"

namespace ddgan {
namespace {

TEST(StepCostsTest, BucketsArePowersOfTwo) {
  EXPECT_EQ(BatchBucket(1), 0);
  EXPECT_EQ(BatchBucket(2), 1);
  EXPECT_EQ(BatchBucket(3), 2);
  EXPECT_EQ(BatchBucket(4), 2);
  EXPECT_EQ(BatchBucket(256), 8);
}

TEST(StepCostsTest, NothingIsKnownBeforeTheFirstStep) {
  EXPECT_FALSE(StepCosts().StepTime(1).has_value());
}

TEST(StepCostsTest, ARowOfAMeasuredBucketCostsItsShare) {
  StepCosts costs;
  costs.Record(8, absl::Milliseconds(16));
  EXPECT_EQ(costs.StepTime(8), absl::Milliseconds(16));
  EXPECT_EQ(costs.StepTime(6), absl::Milliseconds(12));
}

TEST(StepCostsTest, UnmeasuredBucketsBorrowOnTheSafeSide) {
  StepCosts costs;
  costs.Record(4, absl::Milliseconds(8));
  // No row of a larger batch costs more; a smaller batch takes no longer.
  EXPECT_EQ(costs.StepTime(16), absl::Milliseconds(32));
  EXPECT_EQ(costs.StepTime(1), absl::Milliseconds(8));
}

TEST(StepCostsTest, OneStepThatStalledHardlyMovesTheAverage) {
  StepCosts costs;
  costs.Record(1, absl::Milliseconds(8));
  costs.Record(1, absl::Hours(1));
  EXPECT_EQ(costs.StepTime(1), absl::Milliseconds(9));
  // What lasts is followed.
  for (int i = 0; i < 100; ++i) costs.Record(1, absl::Milliseconds(80));
  EXPECT_GT(costs.StepTime(1), absl::Milliseconds(75));
}

TEST(StepCostsTest, AFirstStepOfItsSizeThatStalledIsHeldToItsNeighbours) {
  StepCosts costs;
  costs.Record(1, absl::Milliseconds(8));
  costs.Record(4, absl::Hours(1));
  EXPECT_EQ(costs.StepTime(4), absl::Milliseconds(64));
}

TEST(StepCostsTest, AVeryFirstStepThatStalledIsForgottenWithTheNext) {
  StepCosts costs;
  costs.Record(1, absl::Hours(1));
  EXPECT_EQ(costs.StepTime(1), absl::Hours(1));
  costs.Record(1, absl::Milliseconds(8));
  EXPECT_EQ(costs.StepTime(1), absl::Milliseconds(16));
}

TEST(StepCostsTest, CostsThatRefuseEverybodyAreTriedOnceInAnInterval) {
  StepCosts costs;
  absl::Time now = absl::FromUnixSeconds(1000);
  EXPECT_FALSE(costs.TakeTrial(now));
  now += StepCosts::kTrialInterval - absl::Nanoseconds(1);
  EXPECT_FALSE(costs.TakeTrial(now));
  now += absl::Nanoseconds(1);
  EXPECT_TRUE(costs.TakeTrial(now));
  EXPECT_FALSE(costs.TakeTrial(now));
  EXPECT_TRUE(costs.TakeTrial(now + StepCosts::kTrialInterval));
}

TEST(StepCostsTest, TheAverageFollowsWhatChanges) {
  StepCosts costs;
  costs.Record(1, absl::Milliseconds(10));
  costs.Record(1, absl::Milliseconds(18));
  EXPECT_EQ(costs.StepTime(1), absl::Milliseconds(11));
  for (int i = 0; i < 200; ++i) costs.Record(1, absl::Milliseconds(2));
  EXPECT_NEAR(absl::ToDoubleMilliseconds(*costs.StepTime(1)), 2, 0.01);
}

}  // namespace
}  // namespace ddgan
