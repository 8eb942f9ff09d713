#include "server/telemetry/logging_observer.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "spdlog/spdlog.h"

namespace ddgan {

void LoggingObserver::OnStep(const ModelIdentity& model,
                             const std::string& device,
                             absl::Span<const int> steps,
                             absl::Duration device_time) {
  next_->OnStep(model, device, steps, device_time);
}

void LoggingObserver::OnQueueWait(const ModelIdentity& model,
                                  absl::Duration wait) {
  next_->OnQueueWait(model, wait);
}

void LoggingObserver::OnImages(const ModelIdentity& model, int count) {
  next_->OnImages(model, count);
}

void LoggingObserver::OnRejected(RejectReason reason) {
  next_->OnRejected(reason);
}

void LoggingObserver::OnWastedSteps(WasteReason reason, int steps) {
  next_->OnWastedSteps(reason, steps);
}

void LoggingObserver::OnQueueState(int queued_images, int inflight_images,
                                   absl::Time oldest_queued_since) {
  next_->OnQueueState(queued_images, inflight_images, oldest_queued_since);
}

void LoggingObserver::OnReload(const ModelIdentity& model, ReloadResult result,
                               const absl::Status& reason,
                               absl::Duration duration) {
  if (result == ReloadResult::kLive) {
    spdlog::info("model {} version {} loaded in {:.2f} s, digest {}",
                 model.model, model.version, absl::ToDoubleSeconds(duration),
                 model.digest);
  } else {
    const bool may_pass =
        result == ReloadResult::kNoMemory || result == ReloadResult::kError;
    const std::string line = absl::StrCat(
        "model ", model.model, " version ", model.version,
        may_pass ? " is not loaded yet: " : " refused: ", reason.ToString());
    bool is_new;
    {
      absl::MutexLock lock(&mu_);
      is_new = std::exchange(last_failure_[model.model], line) != line;
    }
    if (is_new) spdlog::warn("{}", line);
  }
  next_->OnReload(model, result, reason, duration);
}

void LoggingObserver::OnReloadPhase(ReloadPhase phase,
                                    absl::Duration duration) {
  next_->OnReloadPhase(phase, duration);
}

void LoggingObserver::OnLiveVersion(const ModelIdentity& model,
                                    absl::Time loaded_at) {
  spdlog::info("model {} version {} is live", model.model, model.version);
  next_->OnLiveVersion(model, loaded_at);
}

void LoggingObserver::OnUnloaded(const ModelIdentity& model) {
  spdlog::info("model {} version {} unloaded", model.model, model.version);
  next_->OnUnloaded(model);
}

void LoggingObserver::OnPin(const std::string& model,
                            std::optional<int64_t> version) {
  if (version.has_value()) {
    spdlog::info("model {} pinned to version {}", model, *version);
  } else {
    spdlog::info("model {} is not pinned any more", model);
  }
  next_->OnPin(model, version);
}

void LoggingObserver::OnRefusedVersions(
    const std::string& model, const std::array<int, kNumReloadResults>& count) {
  next_->OnRefusedVersions(model, count);
}

void LoggingObserver::OnModelDirectory(const absl::Status& health) {
  if (health.ok()) {
    spdlog::info("the model directory is watched again");
  } else {
    spdlog::warn("the model directory: {}", health.ToString());
  }
  next_->OnModelDirectory(health);
}

void LoggingObserver::OnDeviceHealth(const std::string& device,
                                     const absl::Status& health) {
  bool changed;
  {
    absl::MutexLock lock(&mu_);
    const auto [entry, is_new] = healthy_.try_emplace(device, health.ok());
    changed = is_new || entry->second != health.ok();
    entry->second = health.ok();
  }
  if (changed && health.ok()) spdlog::info("device {} is healthy", device);
  if (changed && !health.ok()) {
    spdlog::error("device {} takes no work: {}", device, health.ToString());
  }
  next_->OnDeviceHealth(device, health);
}

void LoggingObserver::OnBatchLimit(const std::string& device,
                                   int max_batch_size) {
  spdlog::warn("device {} takes batches of at most {} images from now on",
               device, max_batch_size);
  next_->OnBatchLimit(device, max_batch_size);
}

void LoggingObserver::OnDeviceNotice(const std::string& device,
                                     const std::string& notice) {
  spdlog::warn("device {}: {}", device, notice);
  next_->OnDeviceNotice(device, notice);
}

void LoggingObserver::OnDeviceMemory(const std::string& device, int64_t bytes) {
  next_->OnDeviceMemory(device, bytes);
}

}  // namespace ddgan
