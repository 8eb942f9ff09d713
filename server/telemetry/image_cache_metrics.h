// Metrics of the images that are kept.
#ifndef DDGAN_SERVER_TELEMETRY_IMAGE_CACHE_METRICS_H_
#define DDGAN_SERVER_TELEMETRY_IMAGE_CACHE_METRICS_H_

#include <cstdint>

#include "server/calls/call_observer.h"
#include "server/telemetry/metrics_registry.h"

namespace ddgan {

// Thread-safe.
class ImageCacheMetrics : public virtual CallObserver {
 public:
  explicit ImageCacheMetrics(MetricsRegistry* registry);

  void OnImageAsked(ImageSource source) override;
  void OnImageKept(int64_t bytes, int evicted) override;

 private:
  prometheus::Family<prometheus::Counter>& images_;
  prometheus::Counter& hits_;
  prometheus::Counter& coalesced_;
  prometheus::Counter& misses_;
  prometheus::Gauge& bytes_;
  prometheus::Counter& evictions_;
};

}  // namespace ddgan

#endif  // DDGAN_SERVER_TELEMETRY_IMAGE_CACHE_METRICS_H_
