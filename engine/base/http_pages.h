// A few pages of text on an HTTP port of their own, for operators and
// Prometheus. No LibTorch, and no HTTP library in this header.
//
// cpp-httplib serves them. prometheus-cpp's own Exposer cannot be used beside
// LibTorch for CUDA: its threads have too small a stack for libcublasLt's
// thread-local storage.
#ifndef DDGAN_ENGINE_BASE_HTTP_PAGES_H_
#define DDGAN_ENGINE_BASE_HTTP_PAGES_H_

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace httplib {
class Server;
}

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

// Serves from Start to destruction. Every other path is 404.
class HttpPages {
 public:
  // `host` is a name or a numeric address, IPv6 without brackets; port 0 lets
  // the system choose. A slow client ties up one of `threads` for some seconds
  // at most. Null if it cannot listen there: the library does not say why.
  static std::unique_ptr<HttpPages> Start(const std::string& host, int port,
                                          int threads,
                                          std::vector<HttpPage> pages);

  HttpPages(const HttpPages&) = delete;
  HttpPages& operator=(const HttpPages&) = delete;

  // Ends what is being served, then returns. No page is asked for after.
  ~HttpPages();

  // The port that is listened on, also when port 0 was asked for.
  int port() const { return port_; }

 private:
  HttpPages(std::unique_ptr<httplib::Server> server, int port);

  const std::unique_ptr<httplib::Server> server_;
  const int port_;
  std::thread thread_;
};

}  // namespace ddgan

#endif  // DDGAN_ENGINE_BASE_HTTP_PAGES_H_
