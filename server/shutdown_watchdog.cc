#include "server/shutdown_watchdog.h"

#include <utility>

namespace ddgan {

ShutdownWatchdog::ShutdownWatchdog(absl::Duration limit,
                                   std::function<void()> on_expiry,
                                   MonotonicClock* clock)
    : thread_([this, clock, deadline = clock->Now() + limit,
               on_expiry = std::move(on_expiry)] {
        {
          absl::MutexLock lock(&mu_);
          while (!disarmed_ && !clock->WaitUntil(&changed_, &mu_, deadline)) {
            continue;
          }
          if (disarmed_) return;
        }
        on_expiry();
      }) {}

ShutdownWatchdog::~ShutdownWatchdog() {
  {
    absl::MutexLock lock(&mu_);
    disarmed_ = true;
    changed_.Signal();
  }
  thread_.join();
}

}  // namespace ddgan
