#include "server/encode_pool.h"

#include <atomic>
#include <optional>
#include <utility>

#include "absl/synchronization/barrier.h"
#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"

namespace ddgan {
namespace {

TEST(EncodePoolTest, RunsTasksOnSeveralThreadsAtOnce) {
  EncodePool pool(2, 10);
  auto* both_run = new absl::Barrier(2);  // The last to leave deletes it.
  for (int i = 0; i < 2; ++i) {
    pool.Run([both_run] {
      // Would never end on one thread.
      if (both_run->Block()) delete both_run;
    });
  }
}

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

TEST(EncodePoolTest, RunsWhatIsQueuedBeforeItIsDestroyed) {
  std::atomic<int> done = 0;
  {
    EncodePool pool(1, 10);
    absl::Notification queued;
    pool.Run([&queued] { queued.WaitForNotification(); });
    for (int i = 0; i < 5; ++i) pool.Run([&done] { ++done; });
    queued.Notify();
  }
  EXPECT_EQ(done, 5);
}

}  // namespace
}  // namespace ddgan
