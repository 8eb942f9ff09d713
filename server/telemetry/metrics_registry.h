// Where the groups of metrics declare their families, and their text.
#ifndef DDGAN_SERVER_TELEMETRY_METRICS_REGISTRY_H_
#define DDGAN_SERVER_TELEMETRY_METRICS_REGISTRY_H_

#include <string>

#include "prometheus/counter.h"
#include "prometheus/family.h"
#include "prometheus/gauge.h"
#include "prometheus/histogram.h"
#include "prometheus/registry.h"

namespace ddgan {

// Thread-safe, as are the families and the metrics in them.
class MetricsRegistry {
 public:
  // A family of each kind. `name` and `help` are what Prometheus shows; a name
  // is declared once.
  prometheus::Family<prometheus::Counter>& Counters(const char* name,
                                                    const char* help) {
    return prometheus::BuildCounter().Name(name).Help(help).Register(registry_);
  }
  prometheus::Family<prometheus::Gauge>& Gauges(const char* name,
                                                const char* help) {
    return prometheus::BuildGauge().Name(name).Help(help).Register(registry_);
  }
  prometheus::Family<prometheus::Histogram>& Histograms(const char* name,
                                                        const char* help) {
    return prometheus::BuildHistogram().Name(name).Help(help).Register(
        registry_);
  }

  // All metrics in Prometheus' text format, version 0.0.4.
  std::string Text() const;

 private:
  prometheus::Registry registry_;
};

}  // namespace ddgan

#endif  // DDGAN_SERVER_TELEMETRY_METRICS_REGISTRY_H_
