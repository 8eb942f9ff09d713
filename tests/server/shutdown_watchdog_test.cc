#include "server/shutdown_watchdog.h"

#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"

namespace ddgan {
namespace {

TEST(ShutdownWatchdogTest, ActsWhenTheLimitPasses) {
  absl::Notification expired;
  const ShutdownWatchdog watchdog(absl::ZeroDuration(),
                                  [&expired] { expired.Notify(); });
  expired.WaitForNotification();
}

TEST(ShutdownWatchdogTest, DoesNothingWhenDestroyedInTime) {
  bool expired = false;
  {
    const ShutdownWatchdog watchdog(absl::InfiniteDuration(),
                                    [&expired] { expired = true; });
  }
  EXPECT_FALSE(expired);
}

}  // namespace
}  // namespace ddgan
