// A clock that stands still until a test moves it.
#ifndef DDGAN_TESTS_FAKES_MANUAL_CLOCK_H_
#define DDGAN_TESTS_FAKES_MANUAL_CLOCK_H_

#include <algorithm>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "engine/base/monotonic_clock.h"

namespace ddgan {

// Thread-safe. A waiting thread wakes when its condition variable is signalled
// or when Advance passes its deadline; nothing ever sleeps.
class ManualClock : public MonotonicClock {
 public:
  absl::Time Now() override {
    absl::MutexLock lock(&mu_);
    return now_;
  }

  bool WaitUntil(absl::CondVar* cond_var, absl::Mutex* mutex,
                 absl::Time deadline) override {
    {
      absl::MutexLock lock(&mu_);
      if (now_ >= deadline) return true;
      waiters_.push_back({cond_var, mutex, deadline});
    }
    cond_var->Wait(mutex);
    absl::MutexLock lock(&mu_);
    waiters_.erase(std::find(waiters_.begin(), waiters_.end(),
                             Waiter{cond_var, mutex, deadline}));
    return now_ >= deadline;
  }

  // Blocks until a thread waits whose time has not come yet, so that a test
  // that moves time step by step cannot run ahead of it.
  void AwaitWaiter() {
    absl::MutexLock lock(&mu_);
    mu_.Await(absl::Condition(this, &ManualClock::SomeoneWaits));
  }

  // Blocks until a thread waits for just this moment.
  void AwaitWaiterFor(absl::Time deadline) {
    absl::MutexLock lock(&mu_);
    auto waits = [&]() ABSL_SHARED_LOCKS_REQUIRED(mu_) {
      return std::any_of(
          waiters_.begin(), waiters_.end(),
          [&](const Waiter& waiter) { return waiter.deadline == deadline; });
    };
    mu_.Await(absl::Condition(&waits));
  }

  // Not while an object whose thread waits here is being destroyed.
  void Advance(absl::Duration duration) {
    std::vector<Waiter> waiters;
    {
      absl::MutexLock lock(&mu_);
      now_ += duration;
      waiters = waiters_;
    }
    // A thread that waits holds its own mutex first and this clock's second, so
    // the clock's is released here. Taking the waiter's mutex makes sure that
    // it does wait by now and cannot miss the signal.
    for (const Waiter& waiter : waiters) {
      absl::MutexLock lock(waiter.mutex);
      waiter.cond_var->SignalAll();
    }
  }

 private:
  struct Waiter {
    absl::CondVar* cond_var;
    absl::Mutex* mutex;
    absl::Time deadline;

    friend bool operator==(const Waiter&, const Waiter&) = default;
  };

  bool SomeoneWaits() const ABSL_SHARED_LOCKS_REQUIRED(mu_) {
    return std::any_of(
        waiters_.begin(), waiters_.end(),
        [now = now_](const Waiter& waiter) { return waiter.deadline > now; });
  }

  absl::Mutex mu_;
  absl::Time now_ ABSL_GUARDED_BY(mu_) = absl::FromUnixSeconds(1'000'000);
  std::vector<Waiter> waiters_ ABSL_GUARDED_BY(mu_);
};

}  // namespace ddgan

#endif  // DDGAN_TESTS_FAKES_MANUAL_CLOCK_H_
