#include "server/telemetry/health_reporter.h"

#include <utility>

namespace ddgan {

HealthReporter::HealthReporter(
    std::vector<grpc::HealthCheckServiceInterface*> health,
    std::vector<std::string> names, std::function<bool()> ready,
    absl::Duration poll_interval)
    : health_(std::move(health)),
      names_(std::move(names)),
      ready_(std::move(ready)),
      poll_interval_(poll_interval) {
  Report(ready_());
  thread_ = std::thread([this] { Poll(); });
}

HealthReporter::~HealthReporter() { StopServing(); }

void HealthReporter::StopServing() {
  {
    absl::MutexLock lock(&mu_);
    if (stopped_) return;
    stopped_ = true;
  }
  thread_.join();
  Report(false);
}

void HealthReporter::Poll() {
  while (true) {
    {
      absl::MutexLock lock(&mu_);
      if (mu_.AwaitWithTimeout(absl::Condition(&stopped_), poll_interval_)) {
        return;
      }
    }
    Report(ready_());
  }
}

void HealthReporter::Report(bool serving) {
  for (grpc::HealthCheckServiceInterface* health : health_) {
    for (const std::string& name : names_) {
      health->SetServingStatus(name, serving);
    }
  }
}

}  // namespace ddgan
