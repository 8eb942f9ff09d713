#include "engine/scheduling/lane_health.h"

#include <gtest/gtest.h>

namespace ddgan {
namespace {

using Action = LaneHealth::Action;

const absl::Status kFull = absl::ResourceExhaustedError("out of memory");
const absl::Status kLost = absl::InternalError("device lost");

TEST(LaneHealthTest, OutOfMemoryHalvesWhatWasTriedDownToOneRow) {
  LaneHealth health(32);
  EXPECT_EQ(health.OnStep(kFull, 20), Action::kRetrySmaller);
  EXPECT_EQ(health.max_batch_size(), 10);
  EXPECT_EQ(health.OnStep(kFull, 3), Action::kRetrySmaller);
  EXPECT_EQ(health.max_batch_size(), 1);
  EXPECT_EQ(health.OnStep(kFull, 1), Action::kTakeOut);
}

TEST(LaneHealthTest, AfterManyGoodStepsTheBatchMayGrowAgain) {
  LaneHealth health(16);
  health.OnStep(kFull, 10);
  for (int i = 1; i < LaneHealth::kStepsToGrow; ++i) {
    health.OnStep(absl::OkStatus(), 5);
  }
  EXPECT_EQ(health.max_batch_size(), 5);
  health.OnStep(absl::OkStatus(), 5);
  EXPECT_EQ(health.max_batch_size(), 10);
  for (int i = 0; i < LaneHealth::kStepsToGrow; ++i) {
    health.OnStep(absl::OkStatus(), 5);
  }
  EXPECT_EQ(health.max_batch_size(), 16);
}

TEST(LaneHealthTest, ALaneStaysOutLongerEachTimeUntilAGoodStep) {
  LaneHealth health(4);
  EXPECT_EQ(health.OnStep(kLost, 4), Action::kTakeOut);
  EXPECT_EQ(health.backoff(), LaneHealth::kFirstBackoff);
  health.OnCreationFailed();
  EXPECT_EQ(health.backoff(), 2 * LaneHealth::kFirstBackoff);
  for (int i = 0; i < 20; ++i) health.OnStep(kLost, 4);
  EXPECT_EQ(health.backoff(), LaneHealth::kMaxBackoff);
  EXPECT_EQ(health.OnStep(absl::OkStatus(), 4), Action::kGoOn);
  health.OnStep(kLost, 4);
  EXPECT_EQ(health.backoff(), LaneHealth::kFirstBackoff);
}

}  // namespace
}  // namespace ddgan
