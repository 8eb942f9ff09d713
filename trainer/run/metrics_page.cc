#include "trainer/run/metrics_page.h"

#include <cstddef>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace ddgan {
namespace {

constexpr int kMaxPort = 65535;

// Prometheus and one to spare.
constexpr int kThreads = 2;

struct HostAndPort {
  std::string host;  // IPv6 without its brackets.
  int port = 0;
};

absl::StatusOr<HostAndPort> Parse(absl::string_view address) {
  const size_t colon = address.rfind(':');
  HostAndPort result;
  if (colon != absl::string_view::npos &&
      absl::SimpleAtoi(address.substr(colon + 1), &result.port) &&
      result.port >= 0 && result.port <= kMaxPort) {
    absl::string_view host = address.substr(0, colon);
    const bool bracketed =
        host.size() >= 2 && host.front() == '[' && host.back() == ']';
    if (bracketed) host = host.substr(1, host.size() - 2);
    if (!host.empty() &&
        (bracketed || host.find(':') == absl::string_view::npos)) {
      result.host = std::string(host);
      return result;
    }
  }
  return absl::InvalidArgumentError(
      absl::StrCat("--metrics_listen is '", address,
                   "', must be host:port with a port in "
                   "[0, ",
                   kMaxPort, "] and an IPv6 host in brackets"));
}

}  // namespace

absl::StatusOr<std::unique_ptr<MetricsPage>> MetricsPage::Start(
    const std::string& address, std::function<std::string()> metrics) {
  const absl::StatusOr<HostAndPort> parsed = Parse(address);
  if (!parsed.ok()) return parsed.status();
  std::unique_ptr<HttpPages> pages = HttpPages::Start(
      parsed->host, parsed->port, kThreads,
      {{"/metrics", [metrics = std::move(metrics)] {
          return HttpAnswer{200, metrics(), kMetricsContentType};
        }}});
  if (pages == nullptr) {
    return absl::FailedPreconditionError(absl::StrCat(
        "--metrics_listen is '", address,
        "', where this process cannot listen: another may have the port, or "
        "the host is not one of this machine"));
  }
  return std::unique_ptr<MetricsPage>(new MetricsPage(std::move(pages)));
}

}  // namespace ddgan
