#include "engine/base/clock.h"

#include "absl/time/clock.h"

namespace ddgan {
namespace {

class SystemClock : public Clock {
 public:
  absl::Time Now() override { return absl::Now(); }

  bool WaitUntil(absl::CondVar* cond_var, absl::Mutex* mutex,
                 absl::Time deadline) override {
    return cond_var->WaitWithDeadline(mutex, deadline);
  }
};

}  // namespace

Clock* RealClock() {
  // Never destroyed: threads may still ask for the time while the process ends.
  static Clock* const clock = new SystemClock;
  return clock;
}

}  // namespace ddgan
