// Logs the engine events that an operator reads about. Calls are AccessLog's.
#ifndef DDGAN_SERVER_TELEMETRY_LOGGING_OBSERVER_H_
#define DDGAN_SERVER_TELEMETRY_LOGGING_OBSERVER_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "engine/api/engine_observer.h"

namespace ddgan {

// Thread-safe. Events as in EngineObserver.
class EngineLog {
 public:
  // A version that has been loaded, or why it was not. A version that is tried
  // again and fails as before is logged once.
  void OnReload(const ModelIdentity& model, ReloadResult result,
                const absl::Status& reason, absl::Duration duration)
      ABSL_LOCKS_EXCLUDED(mu_);
  void OnLiveVersion(const ModelIdentity& model);
  void OnUnloaded(const ModelIdentity& model);
  void OnPin(const std::string& model, std::optional<int64_t> version);
  void OnModelDirectory(const absl::Status& health);
  void OnStrayVersion(const std::string& what);
  // Logged when it differs from what was last reported.
  void OnDeviceHealth(const std::string& device, const absl::Status& health)
      ABSL_LOCKS_EXCLUDED(mu_);
  void OnBatchLimit(const std::string& device, int max_batch_size);
  void OnDeviceNotice(const std::string& device, const std::string& notice);

 private:
  absl::Mutex mu_;
  std::map<std::string, bool> healthy_ ABSL_GUARDED_BY(mu_);
  // By model and version: why it was not loaded the last time.
  std::map<std::string, std::map<int64_t, std::string>> failures_
      ABSL_GUARDED_BY(mu_);
};

// `Observer`, an EngineObserver, whose events are logged before it gets them.
// What is not logged goes straight to it.
template <typename Observer>
class LoggingObserver final : public Observer {
 public:
  using Observer::Observer;

  void OnReload(const ModelIdentity& model, ReloadResult result,
                const absl::Status& reason, absl::Duration duration) override {
    log_.OnReload(model, result, reason, duration);
    Observer::OnReload(model, result, reason, duration);
  }
  void OnLiveVersion(const ModelIdentity& model,
                     absl::Time loaded_at) override {
    log_.OnLiveVersion(model);
    Observer::OnLiveVersion(model, loaded_at);
  }
  void OnUnloaded(const ModelIdentity& model) override {
    log_.OnUnloaded(model);
    Observer::OnUnloaded(model);
  }
  void OnPin(const std::string& model,
             std::optional<int64_t> version) override {
    log_.OnPin(model, version);
    Observer::OnPin(model, version);
  }
  void OnModelDirectory(const absl::Status& health) override {
    log_.OnModelDirectory(health);
    Observer::OnModelDirectory(health);
  }
  void OnStrayVersion(const std::string& what) override {
    log_.OnStrayVersion(what);
    Observer::OnStrayVersion(what);
  }
  void OnDeviceHealth(const std::string& device,
                      const absl::Status& health) override {
    log_.OnDeviceHealth(device, health);
    Observer::OnDeviceHealth(device, health);
  }
  void OnBatchLimit(const std::string& device, int max_batch_size) override {
    log_.OnBatchLimit(device, max_batch_size);
    Observer::OnBatchLimit(device, max_batch_size);
  }
  void OnDeviceNotice(const std::string& device,
                      const std::string& notice) override {
    log_.OnDeviceNotice(device, notice);
    Observer::OnDeviceNotice(device, notice);
  }

 private:
  EngineLog log_;
};

}  // namespace ddgan

#endif  // DDGAN_SERVER_TELEMETRY_LOGGING_OBSERVER_H_
