#include "server/calls/encode_pool.h"

#include <optional>
#include <utility>

#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"

namespace ddgan {
namespace {

TEST(EncodePoolTest, RefusesReservationsBeyondItsCapacity) {
  EncodePool pool(1, 10);
  std::optional<EncodePool::Reservation> six = pool.Reserve(6);
  ASSERT_TRUE(six.has_value());
  EXPECT_FALSE(pool.Reserve(5).has_value());
  EXPECT_TRUE(pool.Reserve(4).has_value());  // And given back at once.
  six.reset();
  EXPECT_TRUE(pool.Reserve(10).has_value());
}

TEST(EncodePoolTest, AMovedReservationGivesItsRoomBackOnce) {
  EncodePool pool(1, 10);
  {
    std::optional<EncodePool::Reservation> first = pool.Reserve(10);
    EncodePool::Reservation second = *std::move(first);
    first.reset();
    EXPECT_FALSE(pool.Reserve(1).has_value());
  }
  std::optional<EncodePool::Reservation> all = pool.Reserve(10);
  EXPECT_TRUE(all.has_value());
  EXPECT_FALSE(pool.Reserve(1).has_value());
}

TEST(EncodePoolTest, WhatIsQueuedAtItsEndMayStillGiveRoomBack) {
  absl::Notification queued;
  bool given_back = false;
  {
    EncodePool pool(1, 10);
    pool.Run([&queued] { queued.WaitForNotification(); });
    pool.Run([room = pool.Reserve(10), &given_back]() mutable {
      room.reset();
      given_back = true;
    });
    queued.Notify();
  }
  EXPECT_TRUE(given_back);
}

}  // namespace
}  // namespace ddgan
