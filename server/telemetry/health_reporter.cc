#include "server/telemetry/health_reporter.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace ddgan {

absl::Status ReadinessOf(const Engine& engine) {
  if (engine.Ready()) return absl::OkStatus();
  int versions = 0;
  for (const ModelStatus& model : engine.ListModels()) {
    for (const ModelVersionStatus& version : model.versions) {
      if (version.state == VersionState::kLive) {
        return absl::UnavailableError("no device works");
      }
      ++versions;
    }
  }
  if (versions == 0) {
    return absl::UnavailableError("the model directory has no model version");
  }
  return absl::UnavailableError(absl::StrCat(
      "none of the ", versions,
      " model versions is live; ModelService.ListModels says why"));
}

HealthReporter::HealthReporter(
    std::vector<grpc::HealthCheckServiceInterface*> health,
    std::vector<std::string> names, std::function<bool()> ready,
    absl::Duration poll_interval, MonotonicClock* clock)
    : health_(std::move(health)),
      names_(std::move(names)),
      ready_(std::move(ready)),
      poll_interval_(poll_interval),
      clock_(clock) {
  Report(ready_());
  thread_ = std::thread([this] { Poll(); });
}

HealthReporter::~HealthReporter() { StopServing(); }

void HealthReporter::StopServing() {
  {
    absl::MutexLock lock(&mu_);
    if (stopped_) return;
    stopped_ = true;
    changed_.Signal();
  }
  thread_.join();
  Report(false);
}

void HealthReporter::Poll() {
  while (true) {
    {
      absl::MutexLock lock(&mu_);
      const absl::Time next = clock_->Now() + poll_interval_;
      while (!stopped_ && !clock_->WaitUntil(&changed_, &mu_, next)) continue;
      if (stopped_) return;
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
