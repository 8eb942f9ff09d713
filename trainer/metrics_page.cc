#include "trainer/metrics_page.h"

#include <httplib.h>
#include <sys/socket.h>

#include <chrono>
#include <cstddef>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"

namespace ddgan {
namespace {

constexpr char kMetricsType[] = "text/plain; version=0.0.4; charset=utf-8";
constexpr int kMaxPort = 65535;

// Prometheus and one to spare: a slow client ties up one thread for no longer
// than kSocketTimeout.
constexpr int kThreads = 2;
constexpr std::chrono::seconds kSocketTimeout(5);

// No path here takes a body.
constexpr size_t kMaxBodySize = 1024;

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

// cpp-httplib's default is SO_REUSEPORT, with which two trainers would share a
// port without a word.
void AllowOnlyAddressReuse(socket_t socket) {
  const int yes = 1;
  setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
}

}  // namespace

absl::StatusOr<std::unique_ptr<MetricsPage>> MetricsPage::Start(
    const std::string& address, std::function<std::string()> metrics) {
  const absl::StatusOr<HostAndPort> parsed = Parse(address);
  if (!parsed.ok()) return parsed.status();
  auto server = std::make_unique<httplib::Server>();
  server->new_task_queue = [] { return new httplib::ThreadPool(kThreads); };
  server->set_socket_options(AllowOnlyAddressReuse);
  server->set_read_timeout(kSocketTimeout);
  server->set_write_timeout(kSocketTimeout);
  server->set_payload_max_length(kMaxBodySize);
  // One request a connection: an idle keep-alive connection would hold a
  // thread.
  server->set_keep_alive_max_count(1);
  server->Get("/metrics",
              [metrics = std::move(metrics)](const httplib::Request&,
                                             httplib::Response& response) {
                response.set_content(metrics(), kMetricsType);
              });

  int port = parsed->port;
  if (port == 0) {
    port = server->bind_to_any_port(parsed->host);
  } else if (!server->bind_to_port(parsed->host, port)) {
    port = -1;
  }
  if (port < 0) {
    return absl::FailedPreconditionError(absl::StrCat(
        "--metrics_listen is '", address,
        "', where this process cannot listen: another may have the port, or "
        "the host is not one of this machine"));
  }
  return std::unique_ptr<MetricsPage>(new MetricsPage(std::move(server), port));
}

MetricsPage::MetricsPage(std::unique_ptr<httplib::Server> server, int port)
    : server_(std::move(server)),
      port_(port),
      thread_([this] { server_->listen_after_bind(); }) {
  // A stop() before the loop runs would be lost, and cpp-httplib has no event
  // for it.
  while (!server_->is_running()) absl::SleepFor(absl::Milliseconds(1));
}

MetricsPage::~MetricsPage() {
  server_->stop();
  thread_.join();
}

}  // namespace ddgan
