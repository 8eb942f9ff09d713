#include "server/connections/drain_policy.h"

#include "gtest/gtest.h"

namespace ddgan {
namespace {

constexpr absl::Duration kTick = absl::Milliseconds(1);
const absl::Time kTold = absl::FromUnixSeconds(1000);
const absl::Time kDeadline = kTold + absl::Seconds(30);

TEST(DrainPolicyTest, IsDoneWithTheLastConnection) {
  EXPECT_EQ(JudgeDrain({.has_connections = false}, kTold, kDeadline, kTold),
            DrainVerdict::kDone);
  // Its calls have ended, but are not put away yet.
  EXPECT_EQ(JudgeDrain({.has_connections = false, .calls_in_flight = 1}, kTold,
                       kDeadline, kTold),
            DrainVerdict::kWait);
}

TEST(DrainPolicyTest, WaitsForConnectionsOnWhichACallMayStillBegin) {
  const DrainView idle = {.has_connections = true};
  EXPECT_EQ(JudgeDrain(idle, kTold, kDeadline, kTold), DrainVerdict::kWait);
  EXPECT_EQ(JudgeDrain(idle, kTold, kDeadline, kTold + kDrainQuietTime - kTick),
            DrainVerdict::kWait);
  EXPECT_EQ(JudgeDrain(idle, kTold, kDeadline, kTold + kDrainQuietTime),
            DrainVerdict::kDone);
}

TEST(DrainPolicyTest, CountsTheQuietTimeFromTheLastCall) {
  const absl::Time ended = kTold + absl::Seconds(5);
  const DrainView view = {.has_connections = true, .last_call_ended = ended};
  EXPECT_EQ(JudgeDrain(view, kTold, kDeadline, ended + kDrainQuietTime - kTick),
            DrainVerdict::kWait);
  EXPECT_EQ(JudgeDrain(view, kTold, kDeadline, ended + kDrainQuietTime),
            DrainVerdict::kDone);
}

TEST(DrainPolicyTest, WaitsForCallsUntilTheDeadlineAndNoLonger) {
  const DrainView busy = {.has_connections = true, .calls_in_flight = 1};
  EXPECT_EQ(JudgeDrain(busy, kTold, kDeadline, kDeadline - kTick),
            DrainVerdict::kWait);
  EXPECT_EQ(JudgeDrain(busy, kTold, kDeadline, kDeadline),
            DrainVerdict::kOutOfTime);
  EXPECT_EQ(JudgeDrain(busy, kTold, absl::InfiniteFuture(),
                       kTold + absl::Hours(1000)),
            DrainVerdict::kWait);
  EXPECT_EQ(JudgeDrain({.has_connections = true}, kTold, kTold, kTold),
            DrainVerdict::kOutOfTime);
}

}  // namespace
}  // namespace ddgan
