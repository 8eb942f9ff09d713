#include "engine/base/http_pages.h"

#include <httplib.h>
#include <sys/socket.h>

#include <chrono>
#include <cstddef>
#include <utility>

#include "absl/time/clock.h"

namespace ddgan {
namespace {

constexpr std::chrono::seconds kSocketTimeout(5);

// No page takes a body.
constexpr size_t kMaxBodySize = 1024;

// cpp-httplib's default is SO_REUSEPORT, with which two processes would share a
// port without a word.
void AllowOnlyAddressReuse(socket_t socket) {
  const int yes = 1;
  setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
}

}  // namespace

std::unique_ptr<HttpPages> HttpPages::Start(const std::string& host, int port,
                                            int threads,
                                            std::vector<HttpPage> pages) {
  auto server = std::make_unique<httplib::Server>();
  server->new_task_queue = [threads] {
    return new httplib::ThreadPool(threads);
  };
  server->set_socket_options(AllowOnlyAddressReuse);
  server->set_read_timeout(kSocketTimeout);
  server->set_write_timeout(kSocketTimeout);
  server->set_payload_max_length(kMaxBodySize);
  // One request a connection: an idle keep-alive connection would hold a
  // thread.
  server->set_keep_alive_max_count(1);
  for (HttpPage& page : pages) {
    server->Get(
        page.path, [answer = std::move(page.answer)](
                       const httplib::Request&, httplib::Response& response) {
          HttpAnswer given = answer();
          response.status = given.status;
          response.set_content(std::move(given.text), given.content_type);
        });
  }

  if (port == 0) {
    port = server->bind_to_any_port(host);
  } else if (!server->bind_to_port(host, port)) {
    port = -1;
  }
  if (port < 0) return nullptr;
  return std::unique_ptr<HttpPages>(new HttpPages(std::move(server), port));
}

HttpPages::HttpPages(std::unique_ptr<httplib::Server> server, int port)
    : server_(std::move(server)),
      port_(port),
      thread_([this] { server_->listen_after_bind(); }) {
  // A stop() before the loop runs would be lost, and cpp-httplib has no event
  // for it.
  while (!server_->is_running()) absl::SleepFor(absl::Milliseconds(1));
}

HttpPages::~HttpPages() {
  server_->stop();
  thread_.join();
}

}  // namespace ddgan
