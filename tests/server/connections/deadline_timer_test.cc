#include "server/connections/deadline_timer.h"

#include <memory>
#include <string>
#include <type_traits>

#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"
#include "tests/fakes/manual_clock.h"

namespace ddgan {
namespace {

TEST(DeadlineTimerTest, TakesNoClockThatCanBeSet) {
  static_assert(std::is_constructible_v<DeadlineTimer, MonotonicClock*>);
  static_assert(!std::is_constructible_v<DeadlineTimer, Clock*>);
}

TEST(DeadlineTimerTest, CallsInTheOrderOfTheDeadlines) {
  ManualClock clock;
  DeadlineTimer timer(&clock);
  std::string order;
  absl::Notification done;
  timer.Add(absl::Seconds(2), [&] { order += '2'; });
  timer.Add(absl::Seconds(3), [&] {
    order += '3';
    done.Notify();
  });
  timer.Add(absl::Seconds(1), [&] { order += '1'; });
  clock.AwaitWaiter();
  clock.Advance(absl::Seconds(3));
  done.WaitForNotification();
  EXPECT_EQ(order, "123");
}

TEST(DeadlineTimerTest, DoesNotCallWhatIsRemovedOrNotDue) {
  ManualClock clock;
  bool called = false;
  absl::Notification done;
  {
    DeadlineTimer timer(&clock);
    const DeadlineTimer::Key removed =
        timer.Add(absl::Seconds(1), [&] { called = true; });
    timer.Add(absl::Seconds(2), [&] { done.Notify(); });
    timer.Add(absl::Seconds(3), [&] { called = true; });
    timer.Remove(removed);
    timer.Remove(removed);
    clock.AwaitWaiter();
    clock.Advance(absl::Seconds(2));
    done.WaitForNotification();
  }
  EXPECT_FALSE(called);
}

TEST(DeadlineTimerTest, ACallMayAddAnother) {
  ManualClock clock;
  DeadlineTimer timer(&clock);
  absl::Notification first;
  absl::Notification second;
  timer.Add(absl::Seconds(1), [&] {
    timer.Add(absl::Seconds(1), [&] { second.Notify(); });
    first.Notify();
  });
  clock.AwaitWaiter();
  clock.Advance(absl::Seconds(1));
  first.WaitForNotification();
  EXPECT_FALSE(second.HasBeenNotified());
  clock.AwaitWaiter();
  clock.Advance(absl::Seconds(1));
  second.WaitForNotification();
}

TEST(DeadlineTimerTest, LetsGoOfWhatItDoesNotCall) {
  ManualClock clock;
  const auto held = std::make_shared<int>(1);
  {
    DeadlineTimer timer(&clock);
    timer.Add(absl::Hours(1), [held] {});
    timer.Remove(timer.Add(absl::Hours(1), [held] {}));
    EXPECT_EQ(held.use_count(), 2);
  }
  EXPECT_EQ(held.use_count(), 1);
}

}  // namespace
}  // namespace ddgan
