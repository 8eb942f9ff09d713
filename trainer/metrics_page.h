// The HTTP port from which Prometheus fetches a run's metrics: /metrics. No
// LibTorch, and no HTTP library in this header.
//
// cpp-httplib serves it. prometheus-cpp's own Exposer cannot be used beside
// LibTorch for CUDA: its threads have too small a stack for libcublasLt's
// thread-local storage.
#ifndef DDGAN_TRAINER_METRICS_PAGE_H_
#define DDGAN_TRAINER_METRICS_PAGE_H_

#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "absl/status/statusor.h"

namespace httplib {
class Server;
}

namespace ddgan {

// Serves from Start to destruction.
class MetricsPage {
 public:
  // `address` is host:port, an IPv6 host in brackets ("[::1]:9090"); port 0
  // lets the system choose. `metrics` gives the page's text; it is called on
  // the page's threads, two at a time, and not after the destructor.
  //   InvalidArgument     `address` is no host:port
  //   FailedPrecondition  it cannot be listened on
  static absl::StatusOr<std::unique_ptr<MetricsPage>> Start(
      const std::string& address, std::function<std::string()> metrics);

  MetricsPage(const MetricsPage&) = delete;
  MetricsPage& operator=(const MetricsPage&) = delete;

  // Ends what is being served, then returns; a client that is slow to read
  // holds it up for some seconds at most.
  ~MetricsPage();

  // The port that is listened on, also when port 0 was asked for.
  int port() const { return port_; }

 private:
  MetricsPage(std::unique_ptr<httplib::Server> server, int port);

  const std::unique_ptr<httplib::Server> server_;
  const int port_;
  std::thread thread_;
};

}  // namespace ddgan

#endif  // DDGAN_TRAINER_METRICS_PAGE_H_
