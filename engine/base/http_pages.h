// A few pages of text on an HTTP port of their own, for operators and
// Prometheus. No LibTorch, and no HTTP library in this header.
//
// Boost.Beast reads and writes HTTP. A connection holds no thread while it
// waits for its peer, so slow peers cost a place each and nothing else.
// prometheus-cpp's own Exposer cannot be used beside LibTorch for CUDA: its
// threads have too small a stack for libcublasLt's thread-local storage.
#ifndef DDGAN_ENGINE_BASE_HTTP_PAGES_H_
#define DDGAN_ENGINE_BASE_HTTP_PAGES_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "engine/base/listen_address.h"

namespace ddgan {

// The media type of Prometheus' text format.
inline constexpr char kMetricsContentType[] =
    "text/plain; version=0.0.4; charset=utf-8";

struct HttpAnswer {
  int status = 200;
  std::string text;
  std::string content_type = "text/plain; charset=utf-8";
};

struct HttpPage {
  std::string path;  // Such as "/metrics"; no special characters.
  // Called for each GET, on the port's threads, several at a time.
  std::function<HttpAnswer()> answer;
};

// Serves from Start to destruction. Every other path is 404, every method but
// GET and HEAD 405, a head over 8 KiB 400, a body 413. One request a
// connection.
class HttpPages {
 public:
  struct Options {
    // Threads that call the pages. At least 1.
    int threads = 4;
    // A request must be here within this, and an answer taken within this
    // again; else the connection is closed.
    absl::Duration patience = absl::Seconds(5);
    // Connections at a time, one descriptor each; at least 1. One more closes
    // the one that has waited longest for its peer; if all wait for a page
    // instead, it waits as well.
    int max_connections = 32;
  };

  // Errors as of ListenOn.
  static absl::StatusOr<std::unique_ptr<HttpPages>> Start(
      const ListenAddress& address, std::vector<HttpPage> pages,
      const Options& options);
  static absl::StatusOr<std::unique_ptr<HttpPages>> Start(
      const ListenAddress& address, std::vector<HttpPage> pages) {
    return Start(address, std::move(pages), Options());
  }

  HttpPages(const HttpPages&) = delete;
  HttpPages& operator=(const HttpPages&) = delete;

  // Waits for the pages that are being asked for, and closes all connections.
  // No page is asked for after.
  ~HttpPages();

  // The port that is listened on, also when port 0 was asked for.
  int port() const { return port_; }

 private:
  class Server;

  HttpPages(std::unique_ptr<Server> server, int port);

  const std::unique_ptr<Server> server_;
  const int port_;
};

}  // namespace ddgan

#endif  // DDGAN_ENGINE_BASE_HTTP_PAGES_H_
