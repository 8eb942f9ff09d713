#include "trainer/step/learning_rate.h"

#include <gtest/gtest.h>

namespace ddgan {
namespace {

TEST(CosineLearningRateTest, StartsAtTheBaseAndEndsAtTheFloor) {
  EXPECT_DOUBLE_EQ(CosineLearningRate(1.6e-4, 0, 100), 1.6e-4);
  EXPECT_DOUBLE_EQ(CosineLearningRate(1.6e-4, 100, 100), 1e-5);
}

TEST(CosineLearningRateTest, OneBelowTheFloorStays) {
  for (const int epoch : {0, 1, 2})
    EXPECT_DOUBLE_EQ(CosineLearningRate(1e-7, epoch, 2), 1e-7);
}

TEST(CosineLearningRateTest, IsHalfwayAtHalfTime) {
  // The reference's second epoch of two (tests/golden/train_tiny).
  EXPECT_NEAR(CosineLearningRate(1.6e-4, 1, 2), 8.5e-5, 1e-12);
  EXPECT_NEAR(CosineLearningRate(1.25e-4, 1, 2), 6.75e-5, 1e-12);
}

}  // namespace
}  // namespace ddgan
