#include "server/telemetry/metrics.h"

#include "server/build_version.h"

namespace ddgan {

Metrics::Metrics(Clock* clock)
    : StepMetrics(this),
      QueueMetrics(this, clock),
      ReloadMetrics(this),
      DeviceMetrics(this),
      CallMetrics(this),
      ImageCacheMetrics(this),
      AccessMetrics(this),
      ConnectionMetrics(this),
      RefusalMetrics(this) {
  Gauges("ddgan_build_info", "1; the labels say what is running.")
      .Add({{"version", kBuildVersion}})
      .Set(1);
}

void Metrics::OnLiveVersion(const ModelIdentity& model, absl::Time loaded_at) {
  ReloadMetrics::OnLiveVersion(model, loaded_at);
  CallMetrics::OnModel(model.model);
}

std::string Metrics::Text() {
  SetOldestAges();
  return MetricsRegistry::Text();
}

}  // namespace ddgan
