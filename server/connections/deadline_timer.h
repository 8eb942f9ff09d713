// One thread that calls functions when their time has come.
#ifndef DDGAN_SERVER_CONNECTIONS_DEADLINE_TIMER_H_
#define DDGAN_SERVER_CONNECTIONS_DEADLINE_TIMER_H_

#include <cstdint>
#include <map>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "engine/base/monotonic_clock.h"

namespace ddgan {

// Thread-safe.
class DeadlineTimer {
 public:
  using Callback = absl::AnyInvocable<void()>;

  // Of one deadline; never used twice.
  struct Key {
    absl::Time deadline;
    uint64_t number = 0;

    friend bool operator<(const Key& a, const Key& b) {
      return std::pair(a.deadline, a.number) < std::pair(b.deadline, b.number);
    }
  };

  // `clock` must outlive the timer.
  explicit DeadlineTimer(MonotonicClock* clock);

  DeadlineTimer(const DeadlineTimer&) = delete;
  DeadlineTimer& operator=(const DeadlineTimer&) = delete;

  // Drops what has not been called. Waits for the call under way.
  ~DeadlineTimer();

  // `callback` is called once `after` from now, unless it is removed before. It
  // may use this timer, and does nothing slow: all others wait.
  Key Add(absl::Duration after, Callback callback) ABSL_LOCKS_EXCLUDED(mu_);

  // No effect if the call has begun; it may be under way.
  void Remove(const Key& key) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  void Run() ABSL_LOCKS_EXCLUDED(mu_);

  MonotonicClock* const clock_;  // Constant after construction.

  absl::Mutex mu_;
  absl::CondVar changed_;  // The earliest deadline, or stopping_.
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  uint64_t last_number_ ABSL_GUARDED_BY(mu_) = 0;
  std::map<Key, Callback> callbacks_ ABSL_GUARDED_BY(mu_);

  std::thread thread_;  // Last: it uses all of the above.
};

}  // namespace ddgan

#endif  // DDGAN_SERVER_CONNECTIONS_DEADLINE_TIMER_H_
