#include "server/calls/worker_threads.h"

#include <vector>

#include "absl/synchronization/barrier.h"
#include "absl/synchronization/notification.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ddgan {
namespace {

using ::testing::ElementsAre;

TEST(WorkerThreadsTest, RunsTasksOnSeveralThreadsAtOnce) {
  WorkerThreads threads(2);
  auto* both_run = new absl::Barrier(2);  // The last to leave deletes it.
  for (int i = 0; i < 2; ++i) {
    threads.Run([both_run] {
      // Would never end on one thread.
      if (both_run->Block()) delete both_run;
    });
  }
}

TEST(WorkerThreadsTest, RunsWhatIsQueuedInItsOrderBeforeItIsDestroyed) {
  std::vector<int> done;
  absl::Notification queued;
  {
    WorkerThreads threads(1);
    threads.Run([&queued] { queued.WaitForNotification(); });
    for (int i = 0; i < 3; ++i) threads.Run([&done, i] { done.push_back(i); });
    queued.Notify();
  }
  EXPECT_THAT(done, ElementsAre(0, 1, 2));
}

}  // namespace
}  // namespace ddgan
