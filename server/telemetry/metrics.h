// All metrics of the server: the groups of metrics over one registry, and their
// text. What each metric means to an operator is in server/OPERATING.md.
//
// A group (step_metrics.h and the others) is about one subject. It declares its
// families with name, labels and help in its own file, and overrides the events
// that they count, whichever room announces them: a new metric is written in
// its group and nowhere else. The observers are virtual bases of the groups, so
// that all groups together are one observer of each room without a line that
// passes an event on. Two groups that override the same event do not compile.
#ifndef DDGAN_SERVER_TELEMETRY_METRICS_H_
#define DDGAN_SERVER_TELEMETRY_METRICS_H_

#include <string>

#include "engine/base/clock.h"
#include "server/telemetry/access_metrics.h"
#include "server/telemetry/call_metrics.h"
#include "server/telemetry/connection_metrics.h"
#include "server/telemetry/device_metrics.h"
#include "server/telemetry/image_cache_metrics.h"
#include "server/telemetry/metrics_registry.h"
#include "server/telemetry/queue_metrics.h"
#include "server/telemetry/refusal_metrics.h"
#include "server/telemetry/reload_metrics.h"
#include "server/telemetry/step_metrics.h"

namespace ddgan {

// Thread-safe. Labels are bounded: models come from the model directory and
// from accepted requests only, never from a request's text, and per-version
// series are kept for the versions that were used last.
class Metrics : private MetricsRegistry,
                public StepMetrics,
                public QueueMetrics,
                public ReloadMetrics,
                public DeviceMetrics,
                public CallMetrics,
                public ImageCacheMetrics,
                public AccessMetrics,
                public ConnectionMetrics,
                public RefusalMetrics {
 public:
  // `clock` must outlive the metrics; it is the one of the engine's times, and
  // gives the age of the oldest waiting image at the time of a scrape.
  explicit Metrics(Clock* clock);

  void OnLiveVersion(const ModelIdentity& model, absl::Time loaded_at) override;

  // All metrics in Prometheus' text format, version 0.0.4.
  std::string Text();

 protected:
  // Where whatever is beside the groups declares metrics of its own.
  MetricsRegistry* registry() { return this; }
};

}  // namespace ddgan

#endif  // DDGAN_SERVER_TELEMETRY_METRICS_H_
