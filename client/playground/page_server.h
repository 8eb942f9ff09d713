// The playground's HTTP port on the loopback, with event streams. No HTTP
// library in this header.
//
// Boost.Beast reads and writes HTTP, as for the pages of engine/base/
// http_pages.h: an event stream that waits holds no thread.
#ifndef DDGAN_CLIENT_PLAYGROUND_PAGE_SERVER_H_
#define DDGAN_CLIENT_PLAYGROUND_PAGE_SERVER_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "client/playground/event_outbox.h"

namespace ddgan::playground {

struct PageRequest {
  std::string path;  // Behind the token, without a query: "/images".
  bool is_post = false;
  std::string body;
};

struct PageAnswer {
  int status = 200;
  std::string text = "";
  std::string content_type = "text/plain; charset=utf-8";
  // Content-Security-Policy. The default is of what holds no page.
  std::string policy = "default-src 'none'; frame-ancestors 'none'";
  // Set: the answer is a stream of events in the place of `text` and its type.
  // Called once to begin it; must not block.
  std::function<void(std::shared_ptr<EventWriter>)> begin_events = nullptr;
};

// Serves on 127.0.0.1 from Start to destruction, one request a connection, GET
// and POST. Who may ask is said in page_access.h; others get 403 and nobody
// looks at what they send.
class PageServer {
 public:
  struct Options {
    int port = 0;  // 0 lets the system choose.
    std::string token;
    // One more closes the oldest that waits for its request, or has its reply
    // whole; if all are being answered, it is closed itself.
    int max_connections = 32;
  };

  // Largest body; one more byte is refused with 413.
  static constexpr size_t kMaxBodyBytes = size_t{2} << 20;

  // `answer` is called on the server's only thread, and must not block.
  // Errors as of ListenOn (engine/base/listen_address.h).
  static absl::StatusOr<std::unique_ptr<PageServer>> Start(
      const Options& options,
      std::function<PageAnswer(const PageRequest&)> answer);

  // Closes all connections. Those that are in the middle of a reply, or of a
  // stream that its writer has ended, send it first; a write that its reader
  // does not take ends after 30 s, so this can block for a minute. Who is still
  // sending a refused request may not get its reply. `answer` is not called
  // after it.
  ~PageServer();

  PageServer(const PageServer&) = delete;
  PageServer& operator=(const PageServer&) = delete;

  int port() const { return port_; }

 private:
  class Server;

  PageServer(std::unique_ptr<Server> server, int port);

  const std::unique_ptr<Server> server_;
  const int port_;
};

}  // namespace ddgan::playground

#endif  // DDGAN_CLIENT_PLAYGROUND_PAGE_SERVER_H_
