#include "trainer/distributed/gradient_buckets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ddgan {

bool operator==(const GradientBucket& a, const GradientBucket& b) {
  return a.first_parameter == b.first_parameter &&
         a.end_parameter == b.end_parameter && a.offset == b.offset &&
         a.size == b.size;
}

namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(GradientBucketsTest, LastParametersComeFirst) {
  EXPECT_THAT(
      PlanGradientBuckets({10, 20, 30, 40}, 50, 50),
      ElementsAre(GradientBucket{3, 4, 60, 40}, GradientBucket{1, 3, 10, 50},
                  GradientBucket{0, 1, 0, 10}));
}

TEST(GradientBucketsTest, FirstBucketHasItsOwnLimit) {
  EXPECT_THAT(
      PlanGradientBuckets({1, 1, 1, 1, 1}, 2, 100),
      ElementsAre(GradientBucket{3, 5, 3, 2}, GradientBucket{0, 3, 0, 3}));
}

TEST(GradientBucketsTest, AParameterLargerThanTheLimitIsAloneInItsBucket) {
  EXPECT_THAT(
      PlanGradientBuckets({5, 1000, 5}, 10, 10),
      ElementsAre(GradientBucket{2, 3, 1005, 5}, GradientBucket{1, 2, 5, 1000},
                  GradientBucket{0, 1, 0, 5}));
}

TEST(GradientBucketsTest, AnEmptyParameterJoinsItsNeighbour) {
  EXPECT_THAT(PlanGradientBuckets({5, 0}, 10, 10),
              ElementsAre(GradientBucket{0, 2, 0, 5}));
}

TEST(GradientBucketsTest, NoParameterIsNoBucket) {
  EXPECT_THAT(PlanGradientBuckets({}, 10, 10), IsEmpty());
}

}  // namespace
}  // namespace ddgan
