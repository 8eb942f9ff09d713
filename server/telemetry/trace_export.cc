#include "server/telemetry/trace_export.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace ddgan {

absl::Status CheckTraceOptions(const TraceOptions& options) {
  if (!options.endpoint.has_value()) {
    if (options.tls_ca.empty()) return absl::OkStatus();
    return absl::InvalidArgumentError(
        "--otlp_tls_ca needs --otlp_endpoint: there is no collector");
  }
  if (options.endpoint->port == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("--otlp_endpoint=", ToString(*options.endpoint),
                     ": the collector's port must be in [1, 65535]"));
  }
  // OpenTelemetry's exporter does not find the port behind one.
  if (absl::StrContains(options.endpoint->host, ':')) {
    return absl::InvalidArgumentError(
        absl::StrCat("--otlp_endpoint=", ToString(*options.endpoint),
                     ": must be a name or an IPv4 address; a name may stand "
                     "for an IPv6 address"));
  }
  return absl::OkStatus();
}

}  // namespace ddgan
