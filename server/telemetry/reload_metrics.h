// Metrics of model versions: their loads, which one is live, pinned, refused.
#ifndef DDGAN_SERVER_TELEMETRY_RELOAD_METRICS_H_
#define DDGAN_SERVER_TELEMETRY_RELOAD_METRICS_H_

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "engine/api/engine_observer.h"
#include "engine/api/generation.h"
#include "server/telemetry/metrics_registry.h"

namespace ddgan {

// Thread-safe.
class ReloadMetrics : public virtual EngineObserver {
 public:
  explicit ReloadMetrics(MetricsRegistry* registry);

  void OnReload(const ModelIdentity& model, ReloadResult result,
                const absl::Status& reason, absl::Duration duration) override
      ABSL_LOCKS_EXCLUDED(mu_);
  void OnReloadPhase(ReloadPhase phase, absl::Duration duration) override;
  void OnLiveVersion(const ModelIdentity& model, absl::Time loaded_at) override
      ABSL_LOCKS_EXCLUDED(mu_);
  void OnUnloaded(const ModelIdentity& model) override ABSL_LOCKS_EXCLUDED(mu_);
  void OnPin(const std::string& model, std::optional<int64_t> version) override
      ABSL_LOCKS_EXCLUDED(mu_);
  void OnRefusedVersions(const std::string& model,
                         const std::array<int, kNumReloadResults>& count)
      override ABSL_LOCKS_EXCLUDED(mu_);

 private:
  // Series of one model. Null: there is none, or not yet.
  struct ModelSeries {
    std::array<prometheus::Counter*, kNumReloadResults> reloads = {};
    std::array<prometheus::Gauge*, kNumReloadResults> refused = {};
    prometheus::Gauge* pinned = nullptr;
    ModelIdentity live;  // That the following two are about.
    prometheus::Gauge* info = nullptr;
    prometheus::Gauge* loaded_timestamp = nullptr;
  };

  ModelSeries& SeriesOf(const std::string& model)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // Constant after construction; the metrics themselves are thread-safe.
  prometheus::Family<prometheus::Counter>& reloads_;
  std::array<prometheus::Histogram*, kNumReloadPhases> phase_duration_;
  prometheus::Histogram* duration_;
  prometheus::Family<prometheus::Gauge>& info_;
  prometheus::Family<prometheus::Gauge>& loaded_timestamp_;
  prometheus::Family<prometheus::Gauge>& pinned_version_;
  prometheus::Family<prometheus::Gauge>& versions_refused_;

  absl::Mutex mu_;
  std::map<std::string, ModelSeries> series_ ABSL_GUARDED_BY(mu_);
};

}  // namespace ddgan

#endif  // DDGAN_SERVER_TELEMETRY_RELOAD_METRICS_H_
