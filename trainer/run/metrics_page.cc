#include "trainer/run/metrics_page.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "engine/base/listen_address.h"

namespace ddgan {
namespace {

// Prometheus and one to spare.
constexpr int kThreads = 2;

absl::Status CannotListen(const std::string& address, absl::string_view why) {
  return absl::FailedPreconditionError(
      absl::StrCat("--metrics_listen=", address, ": ", why));
}

}  // namespace

absl::StatusOr<std::unique_ptr<MetricsPage>> MetricsPage::Start(
    const std::string& address, std::function<std::string()> metrics) {
  const absl::StatusOr<ListenAddress> parsed = ParseListenAddress(address);
  if (!parsed.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--metrics_listen: ", parsed.status().message()));
  }
  absl::StatusOr<std::unique_ptr<HttpPages>> pages = HttpPages::Start(
      *parsed,
      {{"/metrics",
        [metrics = std::move(metrics)] {
          return HttpAnswer{200, metrics(), kMetricsContentType};
        }}},
      {.threads = kThreads});
  if (!pages.ok()) return CannotListen(address, pages.status().message());
  return std::unique_ptr<MetricsPage>(new MetricsPage(*std::move(pages)));
}

}  // namespace ddgan
