#include "server/logging_observer.h"

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

void LoggingObserver::OnReload(const ModelIdentity& model,
                               const absl::Status& result,
                               absl::Duration duration) {
  if (result.ok()) {
    spdlog::info("model {} version {} is live, loaded in {:.2f} s, digest {}",
                 model.model, model.version, absl::ToDoubleSeconds(duration),
                 model.digest);
  } else {
    spdlog::warn("model {} version {} refused: {}", model.model, model.version,
                 result.ToString());
  }
  next_->OnReload(model, result, duration);
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

void LoggingObserver::OnDeviceMemory(const std::string& device, int64_t bytes) {
  next_->OnDeviceMemory(device, bytes);
}

}  // namespace ddgan
