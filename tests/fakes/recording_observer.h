// Keeps what the engine reports.
#ifndef DDGAN_TESTS_FAKES_RECORDING_OBSERVER_H_
#define DDGAN_TESTS_FAKES_RECORDING_OBSERVER_H_

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "engine/api/engine_observer.h"

namespace ddgan {

// Thread-safe.
class RecordingObserver : public EngineObserver {
 public:
  struct Step {
    ModelIdentity model;
    std::string device;
    std::vector<int> steps;
    absl::Duration device_time;
  };
  struct TracedBatch {
    ModelIdentity model;
    std::string device;
    int batch_size = 0;
    std::vector<TracedStep::Row> rows;
    absl::Time start;
    absl::Time end;
    absl::Duration device_time;
    absl::Status status;
  };
  struct QueueState {
    int queued_images = 0;
    int inflight_images = 0;
    OldestQueued oldest;

    friend bool operator==(const QueueState&, const QueueState&) = default;
  };
  struct Reload {
    ModelIdentity model;
    ReloadResult result;
    absl::Status reason;
    absl::Duration duration;
  };
  struct Events {
    std::vector<Step> steps;
    std::vector<TracedBatch> traced_steps;
    std::vector<absl::Duration> queue_waits;
    int images = 0;
    std::vector<RefusalReason> refused;
    std::map<WasteReason, int> wasted_steps;
    QueueState queue_state;  // The last one.
    std::vector<Reload> reloads;
    std::vector<std::pair<ReloadPhase, absl::Duration>> reload_phases;
    std::vector<ModelIdentity> live_versions;
    std::vector<ModelIdentity> unloaded;
    std::vector<std::pair<std::string, std::optional<int64_t>>> pins;
    std::vector<absl::Status> model_directory;
    std::vector<std::string> stray_versions;
    // The last ones.
    std::map<std::string, std::array<int, kNumReloadResults>> refused_versions;
    std::vector<std::pair<std::string, bool>> device_health;
    std::vector<std::pair<std::string, int>> batch_limits;
    std::vector<std::pair<std::string, std::string>> device_notices;
    std::map<std::string, int64_t> device_memory;  // The last ones.
  };

  Events events() const {
    absl::MutexLock lock(&mu_);
    return events_;
  }

  void OnStep(const ModelIdentity& model, const std::string& device,
              absl::Span<const int> steps,
              absl::Duration device_time) override {
    absl::MutexLock lock(&mu_);
    events_.steps.push_back(
        {model, device, {steps.begin(), steps.end()}, device_time});
  }
  void OnTracedStep(const TracedStep& step) override {
    absl::MutexLock lock(&mu_);
    events_.traced_steps.push_back(
        {.model = step.model,
         .device = step.device,
         .batch_size = step.batch_size,
         .rows = {step.rows.begin(), step.rows.end()},
         .start = step.start,
         .end = step.end,
         .device_time = step.device_time,
         .status = step.status});
  }
  void OnQueueWait(const ModelIdentity&, absl::Duration wait) override {
    absl::MutexLock lock(&mu_);
    events_.queue_waits.push_back(wait);
  }
  void OnImages(const ModelIdentity&, int count) override {
    absl::MutexLock lock(&mu_);
    events_.images += count;
  }
  void OnRefused(RefusalReason reason) override {
    absl::MutexLock lock(&mu_);
    events_.refused.push_back(reason);
  }
  void OnWastedSteps(WasteReason reason, int steps) override {
    absl::MutexLock lock(&mu_);
    events_.wasted_steps[reason] += steps;
  }
  void OnQueueState(int queued_images, int inflight_images,
                    const OldestQueued& oldest) override {
    absl::MutexLock lock(&mu_);
    events_.queue_state = {queued_images, inflight_images, oldest};
  }
  void OnReload(const ModelIdentity& model, ReloadResult result,
                const absl::Status& reason, absl::Duration duration) override {
    absl::MutexLock lock(&mu_);
    events_.reloads.push_back({model, result, reason, duration});
  }
  void OnReloadPhase(ReloadPhase phase, absl::Duration duration) override {
    absl::MutexLock lock(&mu_);
    events_.reload_phases.emplace_back(phase, duration);
  }
  void OnLiveVersion(const ModelIdentity& model, absl::Time) override {
    absl::MutexLock lock(&mu_);
    events_.live_versions.push_back(model);
  }
  void OnUnloaded(const ModelIdentity& model) override {
    absl::MutexLock lock(&mu_);
    events_.unloaded.push_back(model);
  }
  void OnPin(const std::string& model,
             std::optional<int64_t> version) override {
    absl::MutexLock lock(&mu_);
    events_.pins.emplace_back(model, version);
  }
  void OnRefusedVersions(
      const std::string& model,
      const std::array<int, kNumReloadResults>& count) override {
    absl::MutexLock lock(&mu_);
    events_.refused_versions[model] = count;
  }
  void OnModelDirectory(const absl::Status& health) override {
    absl::MutexLock lock(&mu_);
    events_.model_directory.push_back(health);
  }
  void OnStrayVersion(const std::string& what) override {
    absl::MutexLock lock(&mu_);
    events_.stray_versions.push_back(what);
  }
  void OnDeviceHealth(const std::string& device,
                      const absl::Status& health) override {
    absl::MutexLock lock(&mu_);
    events_.device_health.emplace_back(device, health.ok());
  }
  void OnBatchLimit(const std::string& device, int max_batch_size) override {
    absl::MutexLock lock(&mu_);
    events_.batch_limits.emplace_back(device, max_batch_size);
  }
  void OnDeviceNotice(const std::string& device,
                      const std::string& notice) override {
    absl::MutexLock lock(&mu_);
    events_.device_notices.emplace_back(device, notice);
  }
  void OnDeviceMemory(const std::string& device, int64_t bytes) override {
    absl::MutexLock lock(&mu_);
    events_.device_memory[device] = bytes;
  }

 private:
  mutable absl::Mutex mu_;
  Events events_ ABSL_GUARDED_BY(mu_);
};

}  // namespace ddgan

#endif  // DDGAN_TESTS_FAKES_RECORDING_OBSERVER_H_
