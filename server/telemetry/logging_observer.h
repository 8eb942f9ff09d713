// Logs the engine events that an operator reads about, and passes every event
// on to another observer. Calls are AccessLog's.
#ifndef DDGAN_SERVER_TELEMETRY_LOGGING_OBSERVER_H_
#define DDGAN_SERVER_TELEMETRY_LOGGING_OBSERVER_H_

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "engine/api/engine_observer.h"

namespace ddgan {

// Thread-safe.
class LoggingObserver final : public EngineObserver {
 public:
  // `next` must outlive this observer.
  explicit LoggingObserver(EngineObserver* next) : next_(next) {}

  void OnStep(const ModelIdentity& model, const std::string& device,
              absl::Span<const int> steps, absl::Duration device_time) override;
  void OnQueueWait(const ModelIdentity& model, absl::Duration wait) override;
  void OnImages(const ModelIdentity& model, int count) override;
  void OnRejected(RejectReason reason) override;
  void OnWastedSteps(WasteReason reason, int steps) override;
  void OnQueueState(int queued_images, int inflight_images,
                    absl::Time oldest_queued_since) override;
  // Logged: a version that has been loaded, or why it was not. A version that
  // is tried again and fails as before is logged once.
  void OnReload(const ModelIdentity& model, ReloadResult result,
                const absl::Status& reason, absl::Duration duration) override
      ABSL_LOCKS_EXCLUDED(mu_);
  void OnReloadPhase(ReloadPhase phase, absl::Duration duration) override;
  // Logged, as are the two that follow.
  void OnLiveVersion(const ModelIdentity& model, absl::Time loaded_at) override;
  void OnUnloaded(const ModelIdentity& model) override;
  void OnPin(const std::string& model, std::optional<int64_t> version) override;
  void OnRefusedVersions(
      const std::string& model,
      const std::array<int, kNumReloadResults>& count) override;
  // Logged when it differs from what was last reported.
  void OnModelDirectory(const absl::Status& health) override;
  void OnDeviceHealth(const std::string& device,
                      const absl::Status& health) override
      ABSL_LOCKS_EXCLUDED(mu_);
  void OnBatchLimit(const std::string& device, int max_batch_size) override;
  void OnDeviceNotice(const std::string& device,
                      const std::string& notice) override;
  void OnDeviceMemory(const std::string& device, int64_t bytes) override;

 private:
  EngineObserver* const next_;

  absl::Mutex mu_;
  std::map<std::string, bool> healthy_ ABSL_GUARDED_BY(mu_);
  // By model: the line about the version that could not be loaded last.
  std::map<std::string, std::string> last_failure_ ABSL_GUARDED_BY(mu_);
};

}  // namespace ddgan

#endif  // DDGAN_SERVER_TELEMETRY_LOGGING_OBSERVER_H_
