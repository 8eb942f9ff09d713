// The HTTP port for operators: /metrics for Prometheus, /livez and /readyz for
// whoever restarts the process or sends it traffic.
//
// cpp-httplib serves it. prometheus-cpp's own Exposer cannot be used beside
// LibTorch for CUDA: its threads have too small a stack for libcublasLt's
// thread-local storage.
#ifndef DDGAN_SERVER_METRICS_ENDPOINT_H_
#define DDGAN_SERVER_METRICS_ENDPOINT_H_

#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/listen_address.h"

namespace httplib {
class Server;
}

namespace ddgan {

// Serves from construction to destruction.
class MetricsEndpoint {
 public:
  // Called on the endpoint's threads, several at a time.
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

  MetricsEndpoint(const MetricsEndpoint&) = delete;
  MetricsEndpoint& operator=(const MetricsEndpoint&) = delete;

  // Ends what is being served, then returns. `sources` are not called after.
  ~MetricsEndpoint();

  // The port that is listened on, also when the address asked for port 0.
  int port() const { return port_; }

 private:
  MetricsEndpoint(std::unique_ptr<httplib::Server> server, int port);

  const std::unique_ptr<httplib::Server> server_;
  const int port_;
  std::thread thread_;
};

}  // namespace ddgan

#endif  // DDGAN_SERVER_METRICS_ENDPOINT_H_
