// Time source, so that tests move time by hand.
#ifndef DDGAN_ENGINE_BASE_CLOCK_H_
#define DDGAN_ENGINE_BASE_CLOCK_H_

#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace ddgan {

// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual absl::Time Now() = 0;
  // Waits on `cond_var` until it is signalled or `deadline` has passed; `mutex`
  // is held by the caller, released meanwhile and held again on return. True
  // if the deadline passed.
  virtual bool WaitUntil(absl::CondVar* cond_var, absl::Mutex* mutex,
                         absl::Time deadline) = 0;
};

// The system clock. Lives for ever.
Clock* RealClock();

}  // namespace ddgan

#endif  // DDGAN_ENGINE_BASE_CLOCK_H_
