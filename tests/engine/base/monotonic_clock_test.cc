#include "engine/base/monotonic_clock.h"

#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "gtest/gtest.h"

namespace ddgan {
namespace {

TEST(MonotonicClockTest, BeginsNearTheTimeOfDayAndNeverGoesBack) {
  MonotonicClock* const clock = RealMonotonicClock();
  absl::Time last = clock->Now();
  EXPECT_LT(absl::AbsDuration(absl::Now() - last), absl::Minutes(10));
  for (int i = 0; i < 1000; ++i) {
    const absl::Time now = clock->Now();
    EXPECT_GE(now, last);
    last = now;
  }
}

TEST(MonotonicClockTest, DoesNotWaitForWhatHasPassed) {
  MonotonicClock* const clock = RealMonotonicClock();
  absl::Mutex mu;
  absl::CondVar changed;
  absl::MutexLock lock(&mu);
  EXPECT_TRUE(clock->WaitUntil(&changed, &mu, clock->Now()));
  EXPECT_TRUE(clock->WaitUntil(&changed, &mu, absl::InfinitePast()));
}

TEST(MonotonicClockTest, EndsEveryWaitOnceItsTimeHasCome) {
  MonotonicClock* const clock = RealMonotonicClock();
  const absl::Time start = clock->Now();
  std::vector<std::thread> sleepers;
  for (int i = 0; i < 20; ++i) {
    sleepers.emplace_back([clock, deadline = start + absl::Milliseconds(i)] {
      absl::Mutex mu;
      absl::CondVar never;
      absl::MutexLock lock(&mu);
      while (!clock->WaitUntil(&never, &mu, deadline)) continue;
      EXPECT_GE(clock->Now(), deadline);
    });
  }
  for (std::thread& sleeper : sleepers) sleeper.join();
}

TEST(MonotonicClockTest, ASignalEndsAWaitBeforeItsTime) {
  MonotonicClock* const clock = RealMonotonicClock();
  for (const absl::Time deadline :
       {clock->Now() + absl::Hours(10'000'000), absl::InfiniteFuture()}) {
    absl::Mutex mu;
    absl::CondVar changed;
    bool signalled = false;
    std::thread signaller([&] {
      absl::MutexLock lock(&mu);
      signalled = true;
      changed.Signal();
    });
    {
      absl::MutexLock lock(&mu);
      while (!signalled) {
        EXPECT_FALSE(clock->WaitUntil(&changed, &mu, deadline));
      }
    }
    signaller.join();
  }
}

}  // namespace
}  // namespace ddgan
