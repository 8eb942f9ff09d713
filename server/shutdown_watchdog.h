// Ends a shutdown that hangs. grpc::Server::Shutdown waits for every reactor
// even after its deadline, so one call that never finishes, because a device
// hangs for example, would keep the process for ever.
#ifndef DDGAN_SERVER_SHUTDOWN_WATCHDOG_H_
#define DDGAN_SERVER_SHUTDOWN_WATCHDOG_H_

#include <functional>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "engine/base/monotonic_clock.h"

namespace ddgan {

class ShutdownWatchdog {
 public:
  // Calls `on_expiry` on a thread of its own unless it is destroyed within
  // `limit`. `clock` must outlive the watchdog.
  ShutdownWatchdog(absl::Duration limit, std::function<void()> on_expiry,
                   MonotonicClock* clock);
  ~ShutdownWatchdog();

  ShutdownWatchdog(const ShutdownWatchdog&) = delete;
  ShutdownWatchdog& operator=(const ShutdownWatchdog&) = delete;

 private:
  absl::Mutex mu_;
  absl::CondVar changed_;
  bool disarmed_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;
};

}  // namespace ddgan

#endif  // DDGAN_SERVER_SHUTDOWN_WATCHDOG_H_
