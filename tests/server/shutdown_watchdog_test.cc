#include "server/shutdown_watchdog.h"

#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"
#include "tests/fakes/manual_clock.h"

namespace ddgan {
namespace {

TEST(ShutdownWatchdogTest, ActsWhenTheLimitPasses) {
  ManualClock clock;
  absl::Notification expired;
  const ShutdownWatchdog watchdog(
      absl::Seconds(30), [&expired] { expired.Notify(); }, &clock);
  clock.AwaitWaiter();
  EXPECT_FALSE(expired.HasBeenNotified());
  clock.Advance(absl::Seconds(30));
  expired.WaitForNotification();
}

TEST(ShutdownWatchdogTest, DoesNothingWhenDestroyedInTime) {
  ManualClock clock;
  bool expired = false;
  {
    const ShutdownWatchdog watchdog(
        absl::Seconds(30), [&expired] { expired = true; }, &clock);
  }
  EXPECT_FALSE(expired);
}

}  // namespace
}  // namespace ddgan
