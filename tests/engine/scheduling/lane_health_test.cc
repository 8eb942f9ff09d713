#include "engine/scheduling/lane_health.h"

#include <gtest/gtest.h>

namespace ddgan {
namespace {

using Action = LaneHealth::Action;

const absl::Status kFull = absl::ResourceExhaustedError("out of memory");
const absl::Status kLost = absl::InternalError("device lost");
const absl::Time kNow = absl::FromUnixSeconds(1000);

// A step whose rows, if it went well, are all finite.
Action Step(LaneHealth& health, const absl::Status& status, int rows) {
  return health.OnStep(status, rows, /*all_finite=*/true, kNow);
}

TEST(LaneHealthTest, OutOfMemoryHalvesWhatWasTriedDownToOneRow) {
  LaneHealth health(32);
  EXPECT_EQ(Step(health, kFull, 20), Action::kRetrySmaller);
  EXPECT_EQ(health.max_batch_size(), 10);
  EXPECT_EQ(Step(health, kFull, 3), Action::kRetrySmaller);
  EXPECT_EQ(health.max_batch_size(), 1);
  EXPECT_EQ(Step(health, kFull, 1), Action::kTakeOut);
}

TEST(LaneHealthTest, AfterManyGoodStepsTheBatchMayGrowAgain) {
  LaneHealth health(16);
  Step(health, kFull, 10);
  for (int i = 1; i < LaneHealth::kStepsToGrow; ++i) {
    Step(health, absl::OkStatus(), 5);
  }
  EXPECT_EQ(health.max_batch_size(), 5);
  Step(health, absl::OkStatus(), 5);
  EXPECT_EQ(health.max_batch_size(), 10);
  for (int i = 0; i < LaneHealth::kStepsToGrow; ++i) {
    Step(health, absl::OkStatus(), 5);
  }
  EXPECT_EQ(health.max_batch_size(), 16);
}

TEST(LaneHealthTest, ALaneStaysOutLongerEachTimeUntilAGoodStep) {
  LaneHealth health(4);
  EXPECT_EQ(Step(health, kLost, 4), Action::kTakeOut);
  EXPECT_EQ(health.backoff(), LaneHealth::kFirstBackoff);
  health.GrowBackoff();
  EXPECT_EQ(health.backoff(), 2 * LaneHealth::kFirstBackoff);
  for (int i = 0; i < 20; ++i) Step(health, kLost, 4);
  EXPECT_EQ(health.backoff(), LaneHealth::kMaxBackoff);
  EXPECT_EQ(Step(health, absl::OkStatus(), 4), Action::kGoOn);
  Step(health, kLost, 4);
  EXPECT_EQ(health.backoff(), LaneHealth::kFirstBackoff);
}

TEST(LaneHealthTest, OutputThatIsNotFiniteAsksForAProbeNowAndThen) {
  LaneHealth health(4);
  const auto broken = [&](absl::Duration after) {
    return health.OnStep(absl::OkStatus(), 4, /*all_finite=*/false,
                         kNow + after);
  };
  EXPECT_EQ(broken(absl::ZeroDuration()), Action::kProbe);
  EXPECT_EQ(broken(LaneHealth::kProbeInterval - absl::Milliseconds(1)),
            Action::kGoOn);
  EXPECT_EQ(broken(LaneHealth::kProbeInterval), Action::kProbe);
}

// A device that gives nothing but NaN never had a good step.
TEST(LaneHealthTest, OutputThatIsNotFiniteIsNoGoodStep) {
  LaneHealth health(4);
  Step(health, kLost, 4);
  health.OnStep(absl::OkStatus(), 4, /*all_finite=*/false, kNow);
  Step(health, kLost, 4);
  EXPECT_EQ(health.backoff(), 2 * LaneHealth::kFirstBackoff);
}

}  // namespace
}  // namespace ddgan
