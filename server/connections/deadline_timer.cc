#include "server/connections/deadline_timer.h"

#include <utility>

namespace ddgan {

DeadlineTimer::DeadlineTimer(MonotonicClock* clock)
    : clock_(clock), thread_([this] { Run(); }) {}

DeadlineTimer::~DeadlineTimer() {
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
    changed_.Signal();
  }
  thread_.join();
}

DeadlineTimer::Key DeadlineTimer::Add(absl::Duration after, Callback callback) {
  const absl::Time deadline = clock_->Now() + after;
  absl::MutexLock lock(&mu_);
  const Key key = {deadline, ++last_number_};
  callbacks_.emplace(key, std::move(callback));
  if (callbacks_.begin()->first.number == key.number) changed_.Signal();
  return key;
}

void DeadlineTimer::Remove(const Key& key) {
  Callback dropped;  // Destroyed without the lock.
  absl::MutexLock lock(&mu_);
  const auto found = callbacks_.find(key);
  if (found == callbacks_.end()) return;
  dropped = std::move(found->second);
  callbacks_.erase(found);
}

void DeadlineTimer::Run() {
  while (true) {
    Callback callback;
    {
      absl::MutexLock lock(&mu_);
      while (true) {
        if (stopping_) return;
        const absl::Time next = callbacks_.empty()
                                    ? absl::InfiniteFuture()
                                    : callbacks_.begin()->first.deadline;
        if (next <= clock_->Now()) break;
        clock_->WaitUntil(&changed_, &mu_, next);
      }
      callback = std::move(callbacks_.begin()->second);
      callbacks_.erase(callbacks_.begin());
    }
    callback();
  }
}

}  // namespace ddgan
