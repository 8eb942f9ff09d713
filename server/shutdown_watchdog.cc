#include "server/shutdown_watchdog.h"

#include <utility>

namespace ddgan {

ShutdownWatchdog::ShutdownWatchdog(absl::Duration limit,
                                   std::function<void()> on_expiry)
    : thread_([this, limit, on_expiry = std::move(on_expiry)] {
        {
          absl::MutexLock lock(&mu_);
          if (mu_.AwaitWithTimeout(absl::Condition(&disarmed_), limit)) return;
        }
        on_expiry();
      }) {}

ShutdownWatchdog::~ShutdownWatchdog() {
  {
    absl::MutexLock lock(&mu_);
    disarmed_ = true;
  }
  thread_.join();
}

}  // namespace ddgan
