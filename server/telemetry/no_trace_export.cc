// In the place of otlp_trace_export.cc in builds without OpenTelemetry.
#include "server/telemetry/trace_export.h"

namespace ddgan {

absl::StatusOr<std::unique_ptr<TraceExport>> TraceExport::Start(
    const TraceOptions& /*options*/, Counter /*counter*/) {
  return absl::UnimplementedError(
      "--otlp_endpoint: this ddgan-server was built without OpenTelemetry "
      "(DDGAN_WITH_TRACES=OFF)");
}

}  // namespace ddgan
