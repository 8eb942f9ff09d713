#include "server/metrics_endpoint.h"

#include <httplib.h>
#include <sys/socket.h>

#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace ddgan {
namespace {

constexpr char kMetricsType[] = "text/plain; version=0.0.4; charset=utf-8";
constexpr char kPlainType[] = "text/plain; charset=utf-8";

// Prometheus, two probes, and one to spare: a slow client ties up one thread
// for no longer than kSocketTimeout.
constexpr int kThreads = 4;
constexpr std::chrono::seconds kSocketTimeout(5);

// No path here takes a body.
constexpr size_t kMaxBodySize = 1024;

void AnswerStatus(const absl::Status& status, httplib::Response& response) {
  response.status = status.ok() ? 200 : 503;
  response.set_content(
      status.ok() ? "ok\n" : absl::StrCat(status.message(), "\n"), kPlainType);
}

// cpp-httplib's default is SO_REUSEPORT, with which two servers would share a
// port without a word.
void AllowOnlyAddressReuse(socket_t socket) {
  const int yes = 1;
  setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
}

}  // namespace

absl::StatusOr<std::unique_ptr<MetricsEndpoint>> MetricsEndpoint::Start(
    const ListenAddress& address, Sources sources) {
  if (absl::Status status = CheckCanListen(address); !status.ok()) {
    return status;
  }
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
              [metrics = std::move(sources.metrics)](
                  const httplib::Request&, httplib::Response& response) {
                response.set_content(metrics(), kMetricsType);
              });
  server->Get("/livez",
              [live = std::move(sources.live)](const httplib::Request&,
                                               httplib::Response& response) {
                AnswerStatus(live(), response);
              });
  server->Get("/readyz",
              [ready = std::move(sources.ready)](const httplib::Request&,
                                                 httplib::Response& response) {
                AnswerStatus(ready(), response);
              });

  int port = address.port;
  if (port == 0) {
    port = server->bind_to_any_port(address.host);
  } else if (!server->bind_to_port(address.host, port)) {
    port = -1;
  }
  if (port < 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("cannot listen on ", ToString(address)));
  }
  return std::unique_ptr<MetricsEndpoint>(
      new MetricsEndpoint(std::move(server), port));
}

MetricsEndpoint::MetricsEndpoint(std::unique_ptr<httplib::Server> server,
                                 int port)
    : server_(std::move(server)),
      port_(port),
      thread_([this] { server_->listen_after_bind(); }) {
  // A stop() before the loop runs would be lost, and cpp-httplib has no event
  // for it.
  while (!server_->is_running()) absl::SleepFor(absl::Milliseconds(1));
}

MetricsEndpoint::~MetricsEndpoint() {
  server_->stop();
  thread_.join();
}

}  // namespace ddgan
