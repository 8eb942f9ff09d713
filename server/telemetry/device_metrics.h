// Metrics of devices: their health and their memory.
#ifndef DDGAN_SERVER_TELEMETRY_DEVICE_METRICS_H_
#define DDGAN_SERVER_TELEMETRY_DEVICE_METRICS_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "engine/api/engine_observer.h"
#include "server/telemetry/metrics_registry.h"

namespace ddgan {

// Thread-safe.
class DeviceMetrics : public virtual EngineObserver {
 public:
  explicit DeviceMetrics(MetricsRegistry* registry);

  void OnDeviceHealth(const std::string& device,
                      const absl::Status& health) override;
  void OnBatchLimit(const std::string& device, int max_batch_size) override;
  void OnDeviceMemory(const std::string& device, int64_t bytes) override;

 private:
  prometheus::Family<prometheus::Gauge>& healthy_;
  prometheus::Family<prometheus::Gauge>& batch_limit_;
  prometheus::Family<prometheus::Gauge>& memory_;
};

}  // namespace ddgan

#endif  // DDGAN_SERVER_TELEMETRY_DEVICE_METRICS_H_
