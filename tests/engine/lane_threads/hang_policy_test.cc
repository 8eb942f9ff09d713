#include "engine/lane_threads/hang_policy.h"

#include <gtest/gtest.h>

#include <optional>

namespace ddgan {
namespace {

using Kind = LaneActivity::Kind;

LaneActivity Activity(Kind kind, std::optional<absl::Duration> expected = {}) {
  LaneActivity activity;
  activity.kind = kind;
  activity.expected = expected;
  return activity;
}

TEST(HangPolicyTest, AMeasuredStepHangsAfterAMultipleOfItsTime) {
  const LaneActivity step = Activity(Kind::kStep, absl::Seconds(2));
  EXPECT_EQ(HangLimit(step), kHangMultiple * absl::Seconds(2));
  const absl::Duration limit = HangLimit(step);
  const absl::Duration moment = absl::Nanoseconds(1);
  EXPECT_EQ(JudgeActivity(step, limit - moment), HangVerdict::kFine);
  EXPECT_EQ(JudgeActivity(step, limit), HangVerdict::kHung);
  EXPECT_EQ(JudgeActivity(step, limit + kLostAfter - moment),
            HangVerdict::kHung);
  EXPECT_EQ(JudgeActivity(step, limit + kLostAfter), HangVerdict::kLost);
}

TEST(HangPolicyTest, AShortStepMayStillTakeSeconds) {
  EXPECT_EQ(HangLimit(Activity(Kind::kStep, absl::Milliseconds(5))),
            kShortestHang);
}

TEST(HangPolicyTest, WhatNobodyHasMeasuredMayTakeMinutes) {
  for (const Kind kind :
       {Kind::kCreation, Kind::kProbe, Kind::kStep, Kind::kSlice}) {
    EXPECT_EQ(HangLimit(Activity(kind)), kUnmeasuredHang);
  }
}

TEST(HangPolicyTest, WhoWaitsForWorkNeverHangs) {
  EXPECT_EQ(JudgeActivity(Activity(Kind::kNone), absl::Hours(100)),
            HangVerdict::kFine);
}

TEST(HangPolicyTest, AHangIsDescribedWithWhatWasExpected) {
  EXPECT_EQ(DescribeHang(Activity(Kind::kStep, absl::Milliseconds(5)),
                         absl::Milliseconds(31500)),
            "a step has not ended for 31s (expected: 5ms)");
  EXPECT_EQ(DescribeHang(Activity(Kind::kCreation), absl::Minutes(5)),
            "the making of its runner has not ended for 5m");
}

class ActivityWatchTest : public ::testing::Test {
 protected:
  // The next look, `passed` after the one before.
  absl::Duration Look(const LaneActivity& activity, absl::Duration passed) {
    const absl::Time last_look = now_;
    now_ += passed;
    return watch_.Look(activity, SeenSince(last_look, now_), now_);
  }

  absl::Time now_ = absl::FromUnixSeconds(1000);
  ActivityWatch watch_;
};

TEST_F(ActivityWatchTest, AddsUpTheLooksAtOneActivity) {
  LaneActivity step = Activity(Kind::kStep);
  step.number = 1;
  step.started = now_ + absl::Milliseconds(400);
  EXPECT_EQ(Look(step, kLookInterval), absl::Milliseconds(600));
  EXPECT_EQ(Look(step, kLookInterval), absl::Milliseconds(1600));
  EXPECT_EQ(Look(step, absl::Milliseconds(50)), absl::Milliseconds(1650));
  step.number = 2;
  step.started = now_;
  EXPECT_EQ(Look(step, kLookInterval), absl::Seconds(1));
}

TEST_F(ActivityWatchTest, AStoppedProcessOrASetClockCountsForOneLook) {
  LaneActivity step = Activity(Kind::kStep);
  step.number = 1;
  step.started = now_;
  EXPECT_EQ(Look(step, absl::Hours(1)), kLongestLook);
  EXPECT_EQ(Look(step, absl::Hours(1)), 2 * kLongestLook);
  EXPECT_EQ(Look(step, -absl::Hours(1)), 2 * kLongestLook);
}

}  // namespace
}  // namespace ddgan
