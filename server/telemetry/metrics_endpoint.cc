#include "server/telemetry/metrics_endpoint.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace ddgan {
namespace {

// Prometheus, two probes, and one to spare.
constexpr int kThreads = 4;

HttpAnswer AnswerStatus(const absl::Status& status) {
  HttpAnswer answer;
  answer.status = status.ok() ? 200 : 503;
  answer.text = status.ok() ? "ok\n" : absl::StrCat(status.message(), "\n");
  return answer;
}

}  // namespace

absl::StatusOr<std::unique_ptr<MetricsEndpoint>> MetricsEndpoint::Start(
    const ListenAddress& address, Sources sources) {
  absl::StatusOr<std::unique_ptr<HttpPages>> pages = HttpPages::Start(
      address,
      {{"/metrics",
        [metrics = std::move(sources.metrics)] {
          return HttpAnswer{200, metrics(), kMetricsContentType};
        }},
       {"/livez",
        [live = std::move(sources.live)] { return AnswerStatus(live()); }},
       {"/readyz",
        [ready = std::move(sources.ready)] { return AnswerStatus(ready()); }}},
      {.threads = kThreads});
  if (!pages.ok()) return pages.status();
  return std::unique_ptr<MetricsEndpoint>(
      new MetricsEndpoint(*std::move(pages)));
}

}  // namespace ddgan
