// Keeps grpc.health.v1 in step with the engine: SERVING while a model is live
// and a device works, NOT_SERVING otherwise and from the start of a drain.
#ifndef DDGAN_SERVER_TELEMETRY_HEALTH_REPORTER_H_
#define DDGAN_SERVER_TELEMETRY_HEALTH_REPORTER_H_

#include <grpcpp/health_check_service_interface.h>

#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "engine/api/engine.h"
#include "engine/base/monotonic_clock.h"

namespace ddgan {

// OK if the engine can serve requests now, else Unavailable and why not.
absl::Status ReadinessOf(const Engine& engine);

// Thread-safe. A thread of its own asks `ready` every `poll_interval`.
class HealthReporter {
 public:
  // Reports for each of `names` to each of `health`, one per port; "" stands
  // for the server as a whole. Has reported once when it returns. All of
  // `health` and `clock` must outlive the reporter, and `ready` is called until
  // StopServing returns.
  HealthReporter(std::vector<grpc::HealthCheckServiceInterface*> health,
                 std::vector<std::string> names, std::function<bool()> ready,
                 absl::Duration poll_interval, MonotonicClock* clock);

  HealthReporter(const HealthReporter&) = delete;
  HealthReporter& operator=(const HealthReporter&) = delete;

  // Stops serving.
  ~HealthReporter();

  // NOT_SERVING from now on, whatever the engine says. May be called again.
  void StopServing() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  void Poll() ABSL_LOCKS_EXCLUDED(mu_);
  void Report(bool serving);

  // Constant after construction.
  const std::vector<grpc::HealthCheckServiceInterface*> health_;
  const std::vector<std::string> names_;
  const std::function<bool()> ready_;
  const absl::Duration poll_interval_;
  MonotonicClock* const clock_;

  absl::Mutex mu_;
  absl::CondVar changed_;
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;  // Joined by whoever set stopped_.
};

}  // namespace ddgan

#endif  // DDGAN_SERVER_TELEMETRY_HEALTH_REPORTER_H_
