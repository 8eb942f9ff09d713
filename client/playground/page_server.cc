#include "client/playground/page_server.h"

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <cstdint>
#include <list>
#include <optional>
#include <sstream>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "client/playground/event_outbox.h"
#include "client/playground/page_access.h"
#include "engine/base/listen_address.h"

namespace ddgan::playground {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
using Error = boost::system::error_code;

constexpr int kBacklog = 64;
constexpr uint32_t kMaxHeadBytes = 16 << 10;
// Of what a peer sends that was refused.
constexpr size_t kMaxDrainedBytes = 4 << 20;
constexpr std::chrono::milliseconds kAcceptPause(100);
// For a request to be here, and for an answer or a part of a stream to be
// taken.
constexpr std::chrono::seconds kPatience(30);

using Parser = http::request_parser<http::string_body>;

// `Name` is http::field or text. All values, with commas between them.
template <typename Name>
std::optional<std::string> FieldOf(const Parser& parser, Name name) {
  const auto [first, last] = parser.get().equal_range(name);
  if (first == last) return std::nullopt;
  std::string value(first->value());
  for (auto more = std::next(first); more != last; ++more) {
    absl::StrAppend(&value, ",", std::string(more->value()));
  }
  return value;
}

PageAnswer Refusal(http::status status, absl::string_view text) {
  return {.status = static_cast<int>(status), .text = absl::StrCat(text, "\n")};
}

}  // namespace

// All but the outboxes is touched by one thread, so nothing is locked.
class PageServer::Server {
 public:
  Server(const std::vector<int>& listeners, const Options& options, int port,
         std::function<PageAnswer(const PageRequest&)> answer)
      : options_(options), port_(port), answer_(std::move(answer)) {
    for (const int listener : listeners) {
      listeners_.push_back(
          std::make_unique<Listener>(io_, tcp::v4(), listener));
      Accept(listeners_.back().get());
    }
    thread_ = std::thread([this] { io_.run(); });
  }

  ~Server();

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
          if (ending_) return;
          if (!error) {
            Take(std::move(socket));
          } else if (!CloseOldest()) {
            // Out of descriptors, or worse, for others' reasons.
            listener->pause.expires_after(kAcceptPause);
            listener->pause.async_wait([this, listener](const Error&) {
              if (!ending_) Accept(listener);
            });
            return;
          }
          Accept(listener);
        });
  }

  void Take(tcp::socket socket);
  // Of those that are not being answered. False if there is none.
  bool CloseOldest();
  // Closes all but those that finish what they write; the last one that is
  // closed ends the thread.
  void End();

  const Options options_;
  const int port_;
  const std::function<PageAnswer(const PageRequest&)> answer_;
  asio::io_context io_;
  std::list<std::unique_ptr<Listener>> listeners_;
  Connections connections_;  // The oldest first.
  bool ending_ = false;
  std::thread thread_;
};

// Held by whatever is under way, and by the server until it is closed.
class PageServer::Server::Connection
    : public std::enable_shared_from_this<Connection> {
 public:
  Connection(Server* server, tcp::socket socket)
      : server_(server), stream_(std::move(socket)) {
    parser_.header_limit(kMaxHeadBytes);
    parser_.body_limit(kMaxBodyBytes);
  }

  void Run(Connections::iterator place) {
    place_ = place;
    stream_.expires_after(kPatience);
    http::async_read_header(
        stream_, buffer_, parser_,
        [self = shared_from_this()](const Error& error, size_t) {
          self->HandleHead(error);
        });
  }

  // Whether nothing is cut off by closing it.
  bool is_idle() const { return outbox_ == nullptr && !replying_; }

  // Whether it writes something that comes to an end by itself.
  bool is_finishing() const {
    return replying_ || (outbox_ != nullptr && outbox_->ended());
  }

  void Close() {
    if (std::exchange(closed_, true)) return;
    stream_.close();
    if (outbox_ != nullptr) outbox_->SetGone();
    server_->connections_.erase(place_);
    if (server_->ending_ && server_->connections_.empty()) server_->io_.stop();
  }

 private:
  void HandleHead(const Error& error) {
    if (closed_ || RefuseUnread(error)) return;
    const http::verb method = parser_.get().method();
    if (method != http::verb::get && method != http::verb::post) {
      Reply(Refusal(http::status::method_not_allowed, "GET and POST alone"));
      return;
    }
    request_.is_post = method == http::verb::post;
    absl::StatusOr<std::string> path = CheckAccess(
        {.is_post = request_.is_post,
         .target = std::string(parser_.get().target()),
         .host = FieldOf(parser_, http::field::host),
         .origin = FieldOf(parser_, http::field::origin),
         .fetch_site = FieldOf(parser_, "Sec-Fetch-Site"),
         .content_type = FieldOf(parser_, http::field::content_type)},
        server_->options_.token, server_->port_);
    if (!path.ok()) {
      Reply(Refusal(absl::IsPermissionDenied(path.status())
                        ? http::status::forbidden
                        : http::status::unsupported_media_type,
                    path.status().message()));
      return;
    }
    request_.path = *std::move(path);
    http::async_read(stream_, buffer_, parser_,
                     [self = shared_from_this()](const Error& e, size_t) {
                       self->HandleBody(e);
                     });
  }

  void HandleBody(const Error& error) {
    if (closed_ || RefuseUnread(error)) return;
    request_.body = std::move(parser_.get().body());
    PageAnswer answer = server_->answer_(request_);
    if (answer.begin_events) {
      BeginEvents(answer);
    } else {
      Reply(std::move(answer));
    }
  }

  // Whether nothing could be read: a parser's error is the peer's, and is
  // answered; others are the line's.
  bool RefuseUnread(const Error& error) {
    if (!error) return false;
    if (error.category() !=
            http::make_error_code(http::error::end_of_stream).category() ||
        error == http::error::end_of_stream ||
        error == http::error::partial_message) {
      Close();
    } else if (error == http::error::body_limit) {
      Reply(Refusal(http::status::payload_too_large, "too large"));
    } else {
      Reply(Refusal(http::status::bad_request, "cannot be read"));
    }
    return true;
  }

  template <typename Response>
  void SetHead(const PageAnswer& answer, Response* response) {
    response->version(11);
    response->result(static_cast<unsigned>(answer.status));
    response->set(http::field::content_type, answer.content_type);
    response->set(http::field::cache_control, "no-store");
    response->set("Content-Security-Policy", answer.policy);
    response->set("Cross-Origin-Opener-Policy", "same-origin");
    response->set("Cross-Origin-Resource-Policy", "same-origin");
    // The address holds the token.
    response->set("Referrer-Policy", "no-referrer");
    response->set("X-Content-Type-Options", "nosniff");
    response->set("X-Frame-Options", "DENY");
    response->keep_alive(false);
  }

  void Reply(PageAnswer answer) {
    SetHead(answer, &response_);
    response_.body() = std::move(answer.text);
    response_.prepare_payload();
    replying_ = true;
    stream_.expires_after(kPatience);
    http::async_write(stream_, response_,
                      [self = shared_from_this()](const Error& error, size_t) {
                        self->replying_ = false;
                        if (error || self->server_->ending_) {
                          self->Close();
                          return;
                        }
                        Error ignored;
                        self->stream_.socket().shutdown(
                            tcp::socket::shutdown_send, ignored);
                        self->stream_.expires_after(kPatience);
                        self->Drain();
                      });
  }

  // Takes what the peer is still sending, a body that was refused: closing with
  // that unread would reset the connection, and the reply with it.
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

  void BeginEvents(const PageAnswer& answer) {
    outbox_ = std::make_shared<EventOutbox>(
        [server = server_, weak = weak_from_this()] {
          asio::post(server->io_, [weak] {
            if (const auto self = weak.lock()) self->WriteWaiting();
          });
        });
    // Without a length: the end of the connection is the end of the stream.
    http::response<http::empty_body> head;
    SetHead(answer, &head);
    head.set(http::field::content_type, "text/event-stream");
    std::ostringstream text;
    text << head.base();
    writing_ = text.str();
    stream_.expires_never();
    AwaitLeaving();
    Write();
    answer.begin_events(outbox_);
  }

  // A reader sends nothing more, so whatever comes is its end.
  void AwaitLeaving() {
    stream_.async_read_some(
        asio::buffer(drained_bytes_),
        [self = shared_from_this()](const Error&, size_t) { self->Close(); });
  }

  void WriteWaiting() {
    if (closed_ || !writing_.empty()) return;
    auto [next, at_end] = outbox_->Take();
    if (at_end) {
      Close();
    } else if (!next.empty()) {
      writing_ = std::move(next);
      Write();
    }
  }

  void Write() {
    // Of the write alone: the read is under way.
    stream_.expires_after(kPatience);
    asio::async_write(stream_, asio::buffer(writing_),
                      [self = shared_from_this()](const Error& error, size_t) {
                        self->writing_.clear();
                        if (error) {
                          self->Close();
                        } else {
                          self->WriteWaiting();
                        }
                      });
  }

  Server* const server_;
  beast::tcp_stream stream_;
  beast::flat_buffer buffer_;
  Parser parser_;
  PageRequest request_;
  http::response<http::string_body> response_;
  std::array<char, 4096> drained_bytes_;
  size_t drained_ = 0;
  std::shared_ptr<EventOutbox> outbox_;  // Of an event stream.
  std::string writing_;                  // Not empty: a write is under way.
  bool replying_ = false;                // A reply is being written.
  Connections::iterator place_;
  bool closed_ = false;
};

PageServer::Server::~Server() {
  asio::post(io_, [this] { End(); });
  thread_.join();
}

void PageServer::Server::End() {
  ending_ = true;
  for (const std::unique_ptr<Listener>& listener : listeners_) {
    Error ignored;
    listener->acceptor.close(ignored);
  }
  for (auto next = connections_.begin(); next != connections_.end();) {
    // Held, since closing takes it out of the list.
    const std::shared_ptr<Connection> connection = *next++;
    if (!connection->is_finishing()) connection->Close();
  }
  if (connections_.empty()) io_.stop();
}

void PageServer::Server::Take(tcp::socket socket) {
  if (connections_.size() >= static_cast<size_t>(options_.max_connections) &&
      !CloseOldest()) {
    return;  // Which closes it.
  }
  Error ignored;
  socket.set_option(tcp::no_delay(true), ignored);
  auto connection = std::make_shared<Connection>(this, std::move(socket));
  connections_.push_back(connection);
  connection->Run(std::prev(connections_.end()));
}

bool PageServer::Server::CloseOldest() {
  for (const std::shared_ptr<Connection>& connection : connections_) {
    if (!connection->is_idle()) continue;
    // Which takes it out of the list.
    std::shared_ptr<Connection>(connection)->Close();
    return true;
  }
  return false;
}

absl::StatusOr<std::unique_ptr<PageServer>> PageServer::Start(
    const Options& options,
    std::function<PageAnswer(const PageRequest&)> answer) {
  int port;
  absl::StatusOr<std::vector<int>> listeners =
      ListenOn({.host = "127.0.0.1", .port = options.port}, kBacklog, &port);
  if (!listeners.ok()) return listeners.status();
  return std::unique_ptr<PageServer>(new PageServer(
      std::make_unique<Server>(*listeners, options, port, std::move(answer)),
      port));
}

PageServer::PageServer(std::unique_ptr<Server> server, int port)
    : server_(std::move(server)), port_(port) {}

PageServer::~PageServer() = default;

}  // namespace ddgan::playground
