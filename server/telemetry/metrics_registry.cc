#include "server/telemetry/metrics_registry.h"

#include "prometheus/text_serializer.h"

namespace ddgan {

std::string MetricsRegistry::Text() const {
  return prometheus::TextSerializer().Serialize(registry_.Collect());
}

}  // namespace ddgan
