// How many calls there are that a drain waits for.
#ifndef DDGAN_SERVER_CONNECTIONS_CALLS_IN_FLIGHT_H_
#define DDGAN_SERVER_CONNECTIONS_CALLS_IN_FLIGHT_H_

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "engine/base/monotonic_clock.h"

namespace ddgan {

// Thread-safe.
class CallsInFlight {
 public:
  // A call that counts until this is destroyed, which is before the
  // CallsInFlight is.
  class Call {
   public:
    explicit Call(CallsInFlight* calls);
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;
    ~Call();

   private:
    CallsInFlight* const calls_;
  };

  struct Snapshot {
    int count = 0;
    absl::Time last_ended;  // InfinitePast if none has.
  };

  // `clock` must outlive it.
  explicit CallsInFlight(MonotonicClock* clock) : clock_(clock) {}

  CallsInFlight(const CallsInFlight&) = delete;
  CallsInFlight& operator=(const CallsInFlight&) = delete;

  Snapshot Now() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  MonotonicClock* const clock_;

  mutable absl::Mutex mu_;
  int count_ ABSL_GUARDED_BY(mu_) = 0;
  absl::Time last_ended_ ABSL_GUARDED_BY(mu_) = absl::InfinitePast();
};

}  // namespace ddgan

#endif  // DDGAN_SERVER_CONNECTIONS_CALLS_IN_FLIGHT_H_
