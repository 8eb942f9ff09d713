#include "engine/versions/change_notifier.h"

#include <gtest/gtest.h>

#include <memory>
#include <thread>

#include "absl/synchronization/notification.h"

namespace ddgan {
namespace {

TEST(ChangeNotifierTest, EveryListenerIsCalledUntilItsWatchIsGone) {
  ChangeNotifier notifier;
  int first = 0, second = 0;
  auto watch = notifier.Watch([&] { ++first; });
  const auto other = notifier.Watch([&] { ++second; });
  notifier.Notify();
  watch.reset();
  notifier.Notify();
  EXPECT_EQ(first, 1);
  EXPECT_EQ(second, 2);
}

TEST(ChangeNotifierTest, AWatchWaitsForACallThatIsUnderWay) {
  ChangeNotifier notifier;
  absl::Notification called, go_on;
  bool done = false;
  auto watch = notifier.Watch([&] {
    called.Notify();
    go_on.WaitForNotification();
    done = true;
  });
  std::thread notify([&] { notifier.Notify(); });
  called.WaitForNotification();
  std::thread release([&] { go_on.Notify(); });
  watch.reset();
  EXPECT_TRUE(done);
  notify.join();
  release.join();
}

// One that waits for a listener to be let go holds up nobody else.
TEST(ChangeNotifierTest, AListenerMayEndTheWatchOfAnother) {
  ChangeNotifier notifier;
  int calls = 0;
  std::unique_ptr<ModelWatch> other;
  const auto watch = notifier.Watch([&] { other.reset(); });
  other = notifier.Watch([&] { ++calls; });
  notifier.Notify();
  notifier.Notify();
  EXPECT_EQ(calls, 0);
}

}  // namespace
}  // namespace ddgan
