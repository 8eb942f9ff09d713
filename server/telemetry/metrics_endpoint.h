// The HTTP port for operators: /metrics for Prometheus, /livez and /readyz for
// whoever restarts the process or sends it traffic.
#ifndef DDGAN_SERVER_TELEMETRY_METRICS_ENDPOINT_H_
#define DDGAN_SERVER_TELEMETRY_METRICS_ENDPOINT_H_

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/base/http_pages.h"
#include "engine/base/listen_address.h"

namespace ddgan {

// Serves from Start to destruction, which ends what is being served first.
class MetricsEndpoint {
 public:
  // Called on the endpoint's threads, several at a time, and not after its
  // destruction.
  struct Sources {
    // Text of /metrics.
    std::function<std::string()> metrics;
    // /livez and /readyz: 200 and "ok", or 503 and the status's message.
    std::function<absl::Status()> live;
    std::function<absl::Status()> ready;
  };

  // As CheckCanListen if the port cannot be had.
  static absl::StatusOr<std::unique_ptr<MetricsEndpoint>> Start(
      const ListenAddress& address, Sources sources);

  // The port that is listened on, also when the address asked for port 0.
  int port() const { return pages_->port(); }

 private:
  explicit MetricsEndpoint(std::unique_ptr<HttpPages> pages)
      : pages_(std::move(pages)) {}

  const std::unique_ptr<HttpPages> pages_;
};

}  // namespace ddgan

#endif  // DDGAN_SERVER_TELEMETRY_METRICS_ENDPOINT_H_
