// The HTTP port from which Prometheus fetches a run's metrics: /metrics. No
// LibTorch.
#ifndef DDGAN_TRAINER_RUN_METRICS_PAGE_H_
#define DDGAN_TRAINER_RUN_METRICS_PAGE_H_

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "engine/base/http_pages.h"

namespace ddgan {

// Serves from Start to destruction, which waits for nobody but `metrics`.
class MetricsPage {
 public:
  // `address` is as ParseListenAddress takes it; port 0 lets the system choose.
  // `metrics` gives the page's text; it is called on the page's threads, two at
  // a time, and not after the destructor.
  //   InvalidArgument     `address` is no host:port
  //   FailedPrecondition  it cannot be listened on; says why
  static absl::StatusOr<std::unique_ptr<MetricsPage>> Start(
      const std::string& address, std::function<std::string()> metrics);

  // The port that is listened on, also when port 0 was asked for.
  int port() const { return pages_->port(); }

 private:
  explicit MetricsPage(std::unique_ptr<HttpPages> pages)
      : pages_(std::move(pages)) {}

  const std::unique_ptr<HttpPages> pages_;
};

}  // namespace ddgan

#endif  // DDGAN_TRAINER_RUN_METRICS_PAGE_H_
