#include "server/telemetry/device_metrics.h"

namespace ddgan {

DeviceMetrics::DeviceMetrics(MetricsRegistry* registry)
    : healthy_(registry->Gauges("ddgan_device_healthy",
                                "1 if the device takes work, 0 if not.")),
      batch_limit_(registry->Gauges(
          "ddgan_device_batch_limit_images",
          "Largest batch of the device after it ran out of memory.")),
      memory_(registry->Gauges(
          "ddgan_device_memory_bytes",
          "Memory that weights and images in flight hold on the device.")) {}

void DeviceMetrics::OnDeviceHealth(const std::string& device,
                                   const absl::Status& health) {
  healthy_.Add({{"device", device}}).Set(health.ok() ? 1 : 0);
}

void DeviceMetrics::OnBatchLimit(const std::string& device,
                                 int max_batch_size) {
  batch_limit_.Add({{"device", device}}).Set(max_batch_size);
}

void DeviceMetrics::OnDeviceMemory(const std::string& device, int64_t bytes) {
  memory_.Add({{"device", device}}).Set(static_cast<double>(bytes));
}

}  // namespace ddgan
