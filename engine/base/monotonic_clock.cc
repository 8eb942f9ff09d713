#include "engine/base/monotonic_clock.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include "absl/time/clock.h"

namespace ddgan {
namespace {

// How soon a sleeper is tried again that could not be woken.
constexpr std::chrono::milliseconds kRetry(1);

// Longest wait at a time; far below where std::chrono's arithmetic overflows.
constexpr absl::Duration kLongestWait = absl::Hours(1);

// Abseil's own waits with a deadline go by the system's clock. Here a waiting
// thread has no deadline for Abseil: it enters itself as a sleeper, and the
// clock's thread signals it when its time has come.
class SteadyClock : public MonotonicClock {
 public:
  absl::Time Now() override {
    return system_at_start_ +
           absl::FromChrono(std::chrono::steady_clock::now() -
                            steady_at_start_);
  }

  bool WaitUntil(absl::CondVar* cond_var, absl::Mutex* mutex,
                 absl::Time deadline) override {
    if (Now() >= deadline) return true;
    if (deadline == absl::InfiniteFuture()) {
      cond_var->Wait(mutex);
      return false;
    }
    Sleepers::iterator self;
    {
      const std::lock_guard lock(mu_);
      if (!std::exchange(has_thread_, true)) {
        std::thread([this] { WakeSleepers(); }).detach();
      }
      self = sleepers_.emplace(deadline, Sleeper{cond_var, mutex});
      if (self == sleepers_.begin()) earliest_changed_.notify_one();
    }
    cond_var->Wait(mutex);
    const std::lock_guard lock(mu_);
    sleepers_.erase(self);
    return Now() >= deadline;
  }

 private:
  struct Sleeper {
    absl::CondVar* cond_var;
    absl::Mutex* mutex;
  };
  using Sleepers = std::multimap<absl::Time, Sleeper>;

  [[noreturn]] void WakeSleepers() {
    std::unique_lock lock(mu_);
    while (true) {
      if (sleepers_.empty()) {
        earliest_changed_.wait(lock);
        continue;
      }
      const absl::Time now = Now();
      const absl::Duration left = sleepers_.begin()->first - now;
      if (left > absl::ZeroDuration()) {
        earliest_changed_.wait_for(
            lock, absl::ToChronoNanoseconds(std::min(left, kLongestWait)));
        continue;
      }
      const auto end = sleepers_.upper_bound(now);
      for (auto it = sleepers_.begin(); it != end; ++it) Wake(it->second);
      // Those that are awake take themselves out.
      earliest_changed_.wait_for(lock, kRetry);
    }
  }

  // Whoever holds its mutex has not begun to wait, or does no longer: a signal
  // would be lost. Never waits for that mutex, since its owner may be waiting
  // for mu_. As mu_ is held, the sleeper has not left WaitUntil, and both
  // pointers are good.
  static void Wake(const Sleeper& sleeper) {
    absl::Mutex* const mutex = sleeper.mutex;
    if (!mutex->TryLock()) return;
    sleeper.cond_var->SignalAll();
    mutex->Unlock();
  }

  // Constant after construction.
  const absl::Time system_at_start_ = absl::Now();
  const std::chrono::steady_clock::time_point steady_at_start_ =
      std::chrono::steady_clock::now();

  // Not Abseil's: these wait by CLOCK_MONOTONIC. The mutex guards what follows.
  std::mutex mu_;
  std::condition_variable earliest_changed_;
  Sleepers sleepers_;  // By deadline.
  bool has_thread_ = false;
};

}  // namespace

MonotonicClock* RealMonotonicClock() {
  // Never destroyed, as RealClock.
  static MonotonicClock* const clock = new SteadyClock;
  return clock;
}

}  // namespace ddgan
