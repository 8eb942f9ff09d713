#include "engine/scheduling/lane_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace ddgan {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1000);

LaneTable TwoLanes() {
  BatchLimits limits;
  limits.max_batch_size = 8;
  return LaneTable({limits, limits});
}

TEST(LaneTableTest, CapacityIsThatOfTheLanesThatAreUp) {
  LaneTable lanes = TwoLanes();
  EXPECT_EQ(lanes.capacity().lanes, 2);
  EXPECT_EQ(lanes.capacity().rows, 16);
  lanes.TakeOut(0, kNow);
  EXPECT_EQ(lanes.capacity().lanes, 1);
  EXPECT_EQ(lanes.capacity().rows, 8);
  lanes.TakeOut(1, kNow);
  EXPECT_EQ(lanes.capacity().lanes, 1);
  EXPECT_EQ(lanes.capacity().rows, 1);
}

TEST(LaneTableTest, AnOutageLastsFromTheLastLaneOutToTheFirstBack) {
  LaneTable lanes = TwoLanes();
  lanes.TakeOut(0, kNow);
  EXPECT_EQ(lanes.all_down_since(), absl::InfiniteFuture());
  lanes.TakeOut(1, kNow + absl::Seconds(1));
  EXPECT_EQ(lanes.all_down_since(), kNow + absl::Seconds(1));
  lanes.Return(0);
  EXPECT_EQ(lanes.all_down_since(), absl::InfiniteFuture());
}

TEST(LaneTableTest, OnlyIdleLanesThatAreUpAreThereForNewWork) {
  LaneTable lanes = TwoLanes();
  lanes[0].idle = lanes[1].idle = true;
  EXPECT_EQ(lanes.CountIdle(), 2);
  lanes.TakeOut(1, kNow);
  EXPECT_EQ(lanes.CountIdle(), 1);
}

TEST(LaneTableTest, ABackoffBeginsWhenAThreadThatHungComesBack) {
  LaneTable lanes = TwoLanes();
  lanes.TakeOut(1, kNow);
  lanes.OnCreationFailed(1, kNow + absl::Seconds(1));
  EXPECT_EQ(lanes[1].retry_at,
            kNow + absl::Seconds(1) + LaneHealth::kFirstBackoff);
  lanes.OnThreadBack(1, kNow + absl::Seconds(5));
  EXPECT_EQ(lanes[1].retry_at,
            kNow + absl::Seconds(5) + LaneHealth::kFirstBackoff);
}

}  // namespace
}  // namespace ddgan
