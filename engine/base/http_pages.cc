#include "engine/base/http_pages.h"

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <cstddef>
#include <cstdint>
#include <list>
#include <optional>
#include <thread>
#include <utility>

namespace ddgan {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
using Error = boost::system::error_code;

constexpr int kBacklog = 128;
constexpr uint32_t kMaxHeadBytes = 8 << 10;
// Of a body that was refused.
constexpr size_t kMaxDrainedBytes = 4 << 20;
constexpr std::chrono::milliseconds kAcceptPause(100);
constexpr std::chrono::milliseconds kPlacePause(2);

HttpAnswer Refuse(http::status status, const char* text) {
  return {static_cast<int>(status), text};
}

}  // namespace

// All but the pages themselves runs on one thread, so nothing is locked.
class HttpPages::Server {
 public:
  Server(std::vector<int> listeners, std::vector<HttpPage> pages,
         const Options& options)
      : options_(options),
        pages_(std::move(pages)),
        workers_(static_cast<size_t>(options.threads)) {
    for (const int listener : listeners) {
      // The protocol of a listener is not asked for again.
      listeners_.push_back(
          std::make_unique<Listener>(io_, tcp::v6(), listener));
      Accept(listeners_.back().get());
    }
    thread_ = std::thread([this] { io_.run(); });
  }

  ~Server() {
    io_.stop();
    thread_.join();
    workers_.join();
  }

 private:
  class Connection;
  using Connections = std::list<std::shared_ptr<Connection>>;

  struct Listener {
    Listener(asio::io_context& io, const tcp& protocol, int descriptor)
        : acceptor(io, protocol, descriptor), pause(io) {}
    tcp::acceptor acceptor;
    asio::steady_timer pause;
  };

  void Accept(Listener* listener) {
    listener->acceptor.async_accept(
        [this, listener](const Error& error, tcp::socket socket) {
          if (!error) {
            Take(listener, std::move(socket));
          } else if (CloseOldest()) {
            Accept(listener);
          } else {
            // Out of descriptors, or worse, for others' reasons.
            listener->pause.expires_after(kAcceptPause);
            listener->pause.async_wait(
                [this, listener](const Error&) { Accept(listener); });
          }
        });
  }

  // As soon as there is a place for it; accepts the next one after it.
  void Take(Listener* listener, tcp::socket socket);
  // Of those that wait for their peer. False if there is none.
  bool CloseOldest();

  const HttpPage* Find(beast::string_view target) const {
    // What a page is asked for with is not looked at.
    const beast::string_view path = target.substr(0, target.find('?'));
    for (const HttpPage& page : pages_) {
      if (page.path == path) return &page;
    }
    return nullptr;
  }

  const Options options_;
  const std::vector<HttpPage> pages_;
  asio::io_context io_;
  std::list<std::unique_ptr<Listener>> listeners_;
  Connections connections_;  // The oldest first.
  asio::thread_pool workers_;
  std::thread thread_;
};

// Held by whatever is under way, and by the server until it is closed.
class HttpPages::Server::Connection
    : public std::enable_shared_from_this<Connection> {
 public:
  Connection(Server* server, tcp::socket socket)
      : server_(server), stream_(std::move(socket)) {
    parser_.header_limit(kMaxHeadBytes);
    parser_.body_limit(0);
  }

  void Run(Connections::iterator place) {
    place_ = place;
    ExpectPeer();
    http::async_read(stream_, buffer_, parser_,
                     [self = shared_from_this()](const Error& error, size_t) {
                       self->HandleRequest(error);
                     });
  }

  bool waits_for_peer() const { return waits_for_peer_; }

  void Close() {
    if (std::exchange(closed_, true)) return;
    stream_.close();
    server_->connections_.erase(place_);
  }

 private:
  // All of what follows has to happen in this time, not each byte of it.
  void ExpectPeer() {
    waits_for_peer_ = true;
    stream_.expires_after(
        absl::ToChronoNanoseconds(server_->options_.patience));
  }

  void HandleRequest(const Error& error) {
    if (closed_) return;
    if (error) {
      // A parser's error is the peer's; others are the line's.
      if (error.category() !=
              http::make_error_code(http::error::end_of_stream).category() ||
          error == http::error::end_of_stream ||
          error == http::error::partial_message) {
        Close();
      } else {
        Reply(error == http::error::body_limit
                  ? Refuse(http::status::payload_too_large, "no body\n")
                  : Refuse(http::status::bad_request, "cannot be read\n"));
      }
      return;
    }
    const http::request<http::empty_body>& request = parser_.get();
    if (request.method() != http::verb::get &&
        request.method() != http::verb::head) {
      Reply(Refuse(http::status::method_not_allowed, "GET alone\n"));
      return;
    }
    const HttpPage* const page = server_->Find(request.target());
    if (page == nullptr) {
      Reply(Refuse(http::status::not_found, "no such page\n"));
      return;
    }
    waits_for_peer_ = false;
    stream_.expires_never();
    asio::post(server_->workers_, [self = shared_from_this(), page] {
      HttpAnswer answer = page->answer();
      asio::post(self->server_->io_,
                 [self, answer = std::move(answer)]() mutable {
                   self->Reply(std::move(answer));
                 });
    });
  }

  void Reply(HttpAnswer answer) {
    if (closed_) return;
    response_.version(11);
    response_.result(static_cast<unsigned>(answer.status));
    response_.set(http::field::content_type, answer.content_type);
    response_.keep_alive(false);
    response_.body() = std::move(answer.text);
    response_.prepare_payload();
    serializer_.emplace(response_);
    serializer_->split(parser_.get().method() == http::verb::head);
    ExpectPeer();
    const auto done = [self = shared_from_this()](const Error& error, size_t) {
      if (!self->closed_ && !error) {
        Error ignored;
        self->stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
        self->Drain();
        return;
      }
      self->Close();
    };
    if (serializer_->split()) {
      http::async_write_header(stream_, *serializer_, done);
    } else {
      http::async_write(stream_, *serializer_, done);
    }
  }

  // Takes what the peer is still sending, a body that was refused: closing with
  // that unread would reset the connection, and the reply with it. As long as a
  // peer has time at all.
  void Drain() {
    stream_.async_read_some(
        asio::buffer(drained_bytes_),
        [self = shared_from_this()](const Error& error, size_t size) {
          if (self->closed_) return;
          self->drained_ += size;
          if (error || self->drained_ > kMaxDrainedBytes) {
            self->Close();
          } else {
            self->Drain();
          }
        });
  }

  Server* const server_;
  beast::tcp_stream stream_;
  beast::flat_buffer buffer_;
  std::array<char, 4096> drained_bytes_;
  size_t drained_ = 0;
  http::request_parser<http::empty_body> parser_;
  http::response<http::string_body> response_;
  std::optional<http::response_serializer<http::string_body>> serializer_;
  Connections::iterator place_;
  bool waits_for_peer_ = true;
  bool closed_ = false;
};

void HttpPages::Server::Take(Listener* listener, tcp::socket socket) {
  if (connections_.size() >= static_cast<size_t>(options_.max_connections) &&
      !CloseOldest()) {
    listener->pause.expires_after(kPlacePause);
    listener->pause.async_wait(
        [this, listener, socket = std::move(socket)](const Error&) mutable {
          Take(listener, std::move(socket));
        });
    return;
  }
  auto connection = std::make_shared<Connection>(this, std::move(socket));
  connections_.push_back(connection);
  connection->Run(std::prev(connections_.end()));
  Accept(listener);
}

bool HttpPages::Server::CloseOldest() {
  for (const std::shared_ptr<Connection>& connection : connections_) {
    if (!connection->waits_for_peer()) continue;
    // Which takes it out of the list.
    std::shared_ptr<Connection>(connection)->Close();
    return true;
  }
  return false;
}

absl::StatusOr<std::unique_ptr<HttpPages>> HttpPages::Start(
    const ListenAddress& address, std::vector<HttpPage> pages,
    const Options& options) {
  int port;
  absl::StatusOr<std::vector<int>> listeners =
      ListenOn(address, kBacklog, &port);
  if (!listeners.ok()) return listeners.status();
  return std::unique_ptr<HttpPages>(
      new HttpPages(std::make_unique<Server>(*std::move(listeners),
                                             std::move(pages), options),
                    port));
}

HttpPages::HttpPages(std::unique_ptr<Server> server, int port)
    : server_(std::move(server)), port_(port) {}

HttpPages::~HttpPages() = default;

}  // namespace ddgan
