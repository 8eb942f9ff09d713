#include "engine/requests/deadline_policy.h"

#include <gtest/gtest.h>

#include <vector>

namespace ddgan {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1000);

DeadlineWork Work(int deadline_ms, int work_ms, int path_ms = 0) {
  return {kNow + absl::Milliseconds(deadline_ms), absl::Milliseconds(work_ms),
          absl::Milliseconds(path_ms)};
}

TEST(DeadlinePolicyTest, WorkAddsUpAndAPathCannotBeShortened) {
  const std::vector<DeadlineWork> work = {Work(100, 10), Work(200, 10, 60)};
  EXPECT_EQ(TimeNeeded(work, 0, absl::Milliseconds(5)), absl::Milliseconds(15));
  EXPECT_EQ(TimeNeeded(work, 1, absl::Milliseconds(5)), absl::Milliseconds(65));
}

TEST(DeadlinePolicyTest, TimeIsLeftForWhatFollowsTheSteps) {
  EXPECT_EQ(StepsDeadline(kNow, kNow + absl::Milliseconds(200)),
            kNow + absl::Milliseconds(180));
  EXPECT_EQ(StepsDeadline(kNow, kNow + absl::Seconds(10)),
            kNow + absl::Milliseconds(9900));
}

TEST(DeadlinePolicyTest, ANewcomerMustFitAndSpoilNobodyBehindIt) {
  const absl::Duration none;
  EXPECT_TRUE(DeadlinesCanBeMet({Work(150, 100)}, 0, none, kNow));
  EXPECT_FALSE(DeadlinesCanBeMet({Work(149, 100)}, 0, none, kNow));
  EXPECT_FALSE(
      DeadlinesCanBeMet({Work(50, 20), Work(170, 100)}, 0, none, kNow));
  EXPECT_TRUE(DeadlinesCanBeMet({Work(50, 20), Work(180, 100)}, 0, none, kNow));
}

TEST(DeadlinePolicyTest, WhatWasLateBeforeTheNewcomerDoesNotKeepItOut) {
  EXPECT_TRUE(DeadlinesCanBeMet({Work(10, 20), Work(500, 20)}, 1,
                                absl::ZeroDuration(), kNow));
}

TEST(DeadlinePolicyTest, AHeldPlaceIsDefendedUntilItIsLateAnyway) {
  const absl::Duration none;
  DeadlineWork held = Work(170, 100);
  held.waits_for_lanes = false;
  EXPECT_TRUE(DeadlinesCanBeMet({Work(50, 10), held}, 0, none, kNow));
  EXPECT_FALSE(DeadlinesCanBeMet({Work(50, 20), held}, 0, none, kNow));
  held.deadline = kNow + absl::Milliseconds(140);
  EXPECT_TRUE(DeadlinesCanBeMet({Work(50, 20), held}, 0, none, kNow));
  // A newcomer is no such place, whatever it will wait for.
  EXPECT_FALSE(DeadlinesCanBeMet({held}, 0, none, kNow));
}

TEST(DeadlinePolicyTest, NothingIsHurriedForAHeldPlace) {
  DeadlineWork held = Work(60, 50);
  held.waits_for_lanes = false;
  EXPECT_EQ(CountUrgent({Work(50, 1), held}, absl::Milliseconds(10), kNow), 0);
}

TEST(DeadlinePolicyTest, EverythingUpToTheLastTightDeadlineIsUrgent) {
  const absl::Duration tick = absl::Milliseconds(10);
  EXPECT_EQ(CountUrgent({}, tick, kNow), 0);
  EXPECT_EQ(CountUrgent({Work(500, 50)}, tick, kNow), 0);
  // 2 ticks and 50 ms with its margin of a quarter.
  EXPECT_EQ(CountUrgent({Work(82, 50)}, tick, kNow), 1);
  EXPECT_EQ(CountUrgent({Work(83, 50)}, tick, kNow), 0);
  // Steps that must follow one another take as long, however little they are.
  EXPECT_EQ(CountUrgent({Work(82, 10, 50)}, tick, kNow), 1);
  EXPECT_EQ(CountUrgent({Work(83, 10, 50)}, tick, kNow), 0);
  EXPECT_EQ(
      CountUrgent({Work(400, 50), Work(410, 330), Work(9000, 5)}, tick, kNow),
      2);
}

}  // namespace
}  // namespace ddgan
