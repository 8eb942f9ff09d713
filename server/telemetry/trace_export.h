// Where spans go: to a collector, by OpenTelemetry's protocol (OTLP over gRPC).
// What knows OpenTelemetry is behind this header; a build without it has an
// implementation that refuses to start.
#ifndef DDGAN_SERVER_TELEMETRY_TRACE_EXPORT_H_
#define DDGAN_SERVER_TELEMETRY_TRACE_EXPORT_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "engine/base/listen_address.h"
#include "server/telemetry/call_spans.h"

namespace ddgan {

struct TraceOptions {
  // The collector's. Unset: no call is traced.
  std::optional<ListenAddress> endpoint;
  // Of the traces that begin here, so many are recorded. [0, 1]
  double ratio = 1;
  // PEM file with authorities of which one has signed the collector's
  // certificate. Empty: there is no TLS to it.
  std::string tls_ca;

  // The ratio if calls are traced at all.
  std::optional<double> CallRatio() const {
    return endpoint.has_value() ? std::optional(ratio) : std::nullopt;
  }
};

// InvalidArgument that names the flag, and what is wanted in its place.
absl::Status CheckTraceOptions(const TraceOptions& options);

// Thread-safe.
class TraceExport {
 public:
  // Spans that wait or are under way; one more is lost.
  static constexpr size_t kMaxWaiting = 8192;
  // A span is sent at the latest so much after it came, with what else is here.
  static constexpr absl::Duration kInterval = absl::Seconds(1);
  // A collector that has not answered within this is given up for those spans.
  static constexpr absl::Duration kTimeout = absl::Seconds(3);
  // How long the end goes on sending, and the most that it takes, since what is
  // under way then is waited for.
  static constexpr absl::Duration kFlushTimeout = absl::Seconds(2);
  static constexpr absl::Duration kLongestEnd = absl::Seconds(5);

  enum class Result {
    kExported,
    kQueueFull,  // Lost: kMaxWaiting wait.
    kFailed,     // Lost: the collector was not there, or did not take them.
  };
  // Called with a number of spans, by Add or on the exporting thread.
  using Counter = std::function<void(Result, size_t)>;

  // Nothing is sent yet; a collector that is not there is no error.
  // `options.endpoint` is set.
  //   InvalidArgument  the PEM file cannot be read, or is empty; or a header
  //                    that OTEL_EXPORTER_OTLP_HEADERS asks for is none
  //   Unimplemented    this build has no OpenTelemetry
  static absl::StatusOr<std::unique_ptr<TraceExport>> Start(
      const TraceOptions& options, Counter counter);

  // Sends what waits, for at most kFlushTimeout; the rest is lost.
  virtual ~TraceExport() = default;

  // Returns at once, whatever the collector does.
  virtual void Add(const std::vector<TraceSpan>& spans) = 0;
};

}  // namespace ddgan

#endif  // DDGAN_SERVER_TELEMETRY_TRACE_EXPORT_H_
