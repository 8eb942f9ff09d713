#include "client/playground/page_server.h"

#include <arpa/inet.h>
#include <httplib.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ddgan::playground {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr char kToken[] = "secret";
// More than sockets take without a reader.
constexpr size_t kLargeBytes = size_t{64} << 20;

// A connection on which the test says what is sent.
class RawClient {
 public:
  explicit RawClient(int port)
      : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const timeval limit = {.tv_sec = 60, .tv_usec = 0};
    setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<in_port_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(socket_, reinterpret_cast<sockaddr*>(&address),
                      sizeof(address)),
              0);
  }
  ~RawClient() { close(socket_); }

  void Send(const std::string& text) {
    send(socket_, text.data(), text.size(), MSG_NOSIGNAL);
  }

  // Until `end` has come, or else all until the server closes.
  std::string ReadUntil(const std::string& end) {
    std::string text;
    char byte;
    while (!absl::EndsWith(text, end)) {
      if (recv(socket_, &byte, 1, 0) <= 0) break;
      text.push_back(byte);
    }
    return text;
  }
  // All until the server closes.
  std::string ReadAll() {
    std::string text;
    std::vector<char> part(1 << 16);
    while (true) {
      const ssize_t size = recv(socket_, part.data(), part.size(), 0);
      if (size <= 0) return text;
      text.append(part.data(), static_cast<size_t>(size));
    }
  }

 private:
  const int socket_;
};

class PageServerTest : public ::testing::Test {
 protected:
  void Start(int max_connections = 32) {
    auto server = PageServer::Start(
        {.port = 0, .token = kToken, .max_connections = max_connections},
        [this](const PageRequest& request) { return Answer(request); });
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    client_ = std::make_unique<httplib::Client>("127.0.0.1", server_->port());
    client_->set_read_timeout(60);
  }

  PageAnswer Answer(const PageRequest& request) {
    {
      absl::MutexLock lock(&mu_);
      requests_.push_back(request);
    }
    if (request.path == "/large") {
      return {.text = std::string(kLargeBytes, 'x')};
    }
    if (request.path != "/events") {
      return {.status = 200, .text = "here you are", .policy = "of the page"};
    }
    return {.begin_events = [this](std::shared_ptr<EventWriter> events) {
      absl::MutexLock lock(&mu_);
      events_ = std::move(events);
    }};
  }

  std::shared_ptr<EventWriter> AwaitEvents() {
    absl::MutexLock lock(&mu_);
    mu_.Await(absl::Condition(
        +[](std::shared_ptr<EventWriter>* events) {
          return *events != nullptr;
        },
        &events_));
    return events_;
  }

  std::string GetHead(const std::string& path) const {
    return absl::StrCat("GET /secret", path,
                        " HTTP/1.1\r\nHost: 127.0.0.1:", server_->port(),
                        "\r\n\r\n");
  }

  httplib::Headers OwnOrigin() const {
    return {{"Origin", absl::StrCat("http://127.0.0.1:", server_->port())}};
  }

  std::vector<PageRequest> requests() {
    absl::MutexLock lock(&mu_);
    return requests_;
  }

  absl::Mutex mu_;
  std::vector<PageRequest> requests_ ABSL_GUARDED_BY(mu_);
  std::shared_ptr<EventWriter> events_ ABSL_GUARDED_BY(mu_);
  std::unique_ptr<PageServer> server_;
  std::unique_ptr<httplib::Client> client_;
};

TEST_F(PageServerTest, AnswersWithHeadersThatKeepThePageToItself) {
  Start();
  const auto reply = client_->Get("/secret/");
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->status, 200);
  EXPECT_EQ(reply->body, "here you are");
  EXPECT_EQ(reply->get_header_value("Content-Security-Policy"), "of the page");
  EXPECT_EQ(reply->get_header_value("Cache-Control"), "no-store");
  EXPECT_EQ(reply->get_header_value("Referrer-Policy"), "no-referrer");
  EXPECT_EQ(reply->get_header_value("X-Content-Type-Options"), "nosniff");
  EXPECT_EQ(reply->get_header_value("X-Frame-Options"), "DENY");
  EXPECT_EQ(reply->get_header_value("Cross-Origin-Opener-Policy"),
            "same-origin");
  EXPECT_EQ(reply->get_header_value("Cross-Origin-Resource-Policy"),
            "same-origin");
  EXPECT_FALSE(reply->has_header("Access-Control-Allow-Origin"));
}

TEST_F(PageServerTest, HandsOnPathAndBody) {
  Start();
  const std::string body(PageServer::kMaxBodyBytes, 'x');
  const auto reply =
      client_->Post("/secret/images", OwnOrigin(), body, "application/json");
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->status, 200);
  ASSERT_EQ(requests().size(), 1u);
  EXPECT_EQ(requests()[0].path, "/images");
  EXPECT_TRUE(requests()[0].is_post);
  EXPECT_EQ(requests()[0].body, body);
}

TEST_F(PageServerTest, NobodyHearsOfARequestThatIsRefused) {
  Start();
  EXPECT_EQ(client_->Get("/wrong/")->status, 403);
  EXPECT_EQ(client_->Get("/secret/", {{"Host", "evil.example"}})->status, 403);
  EXPECT_EQ(
      client_->Get("/secret/", {{"Origin", "http://evil.example"}})->status,
      403);
  EXPECT_EQ(
      client_->Get("/secret/", {{"Sec-Fetch-Site", "cross-site"}})->status,
      403);
  EXPECT_EQ(client_->Post("/secret/images", "{}", "application/json")->status,
            403);
  EXPECT_EQ(
      client_->Post("/secret/images", OwnOrigin(), "{}", "text/plain")->status,
      415);
  EXPECT_EQ(client_->Options("/secret/images")->status, 405);
  EXPECT_EQ(client_->Put("/secret/images", "{}", "application/json")->status,
            405);
  EXPECT_EQ(client_
                ->Post("/secret/images", OwnOrigin(),
                       std::string(PageServer::kMaxBodyBytes + 1, 'x'),
                       "application/json")
                ->status,
            413);
  EXPECT_TRUE(requests().empty());
}

TEST_F(PageServerTest, AHeaderThatIsThereTwiceIsNoHeader) {
  Start();
  RawClient raw(server_->port());
  raw.Send(absl::StrCat("GET /secret/ HTTP/1.1\r\nHost: 127.0.0.1:",
                        server_->port(), "\r\nHost: evil.example\r\n\r\n"));
  // Either as malformed or as somebody else's.
  EXPECT_THAT(raw.ReadAll(), StartsWith("HTTP/1.1 40"));
  EXPECT_TRUE(requests().empty());
}

TEST_F(PageServerTest, RefusesWhatIsNoHttp) {
  Start();
  RawClient raw(server_->port());
  raw.Send("hello\r\n\r\n");
  EXPECT_THAT(raw.ReadAll(), StartsWith("HTTP/1.1 400"));
  RawClient large(server_->port());
  large.Send(absl::StrCat("GET / HTTP/1.1\r\nX: ", std::string(20000, 'x')));
  EXPECT_THAT(large.ReadAll(), StartsWith("HTTP/1.1 400"));
}

TEST_F(PageServerTest, SendsEventsAsTheyComeAndClosesAfterTheLast) {
  Start();
  RawClient raw(server_->port());
  raw.Send(GetHead("/events"));
  const std::shared_ptr<EventWriter> events = AwaitEvents();
  EXPECT_TRUE(events->Write("event: a\ndata: 1\n\n"));
  EXPECT_THAT(raw.ReadUntil("\n\n"),
              AllOf(StartsWith("HTTP/1.1 200 OK\r\n"),
                    HasSubstr("\r\nContent-Type: text/event-stream\r\n"),
                    HasSubstr("\r\n\r\nevent: a\ndata: 1\n\n")));
  EXPECT_TRUE(events->Write("event: b\ndata: 2\n\n"));
  events->End();
  EXPECT_EQ(raw.ReadAll(), "event: b\ndata: 2\n\n");
}

TEST_F(PageServerTest, TellsWhenTheReaderLeaves) {
  Start();
  absl::Notification gone;
  {
    RawClient raw(server_->port());
    raw.Send(GetHead("/events"));
    AwaitEvents()->OnGone([&] { gone.Notify(); });
    EXPECT_FALSE(gone.HasBeenNotified());
  }
  gone.WaitForNotification();
  EXPECT_FALSE(AwaitEvents()->Write("x"));
}

TEST_F(PageServerTest, AWriterIsHeldByAReaderThatDoesNotRead) {
  Start();
  auto raw = std::make_unique<RawClient>(server_->port());
  raw->Send(GetHead("/events"));
  const std::shared_ptr<EventWriter> events = AwaitEvents();
  constexpr int kEvents = 64;
  std::atomic<int> written = 0;
  absl::Notification ended;
  std::thread writer([&] {
    // More than sockets take without a reader.
    const std::string event(kLargeBytes / kEvents, 'x');
    for (int i = 0; i < kEvents; ++i) {
      if (!events->Write(event)) break;
      ++written;
      if (!events->AwaitRoom()) break;
    }
    ended.Notify();
  });
  // It is held once it has begun and writes nothing for a while.
  int before;
  do {
    before = written;
  } while (!ended.WaitForNotificationWithTimeout(absl::Milliseconds(50)) &&
           (before == 0 || written != before));
  EXPECT_FALSE(ended.HasBeenNotified());
  EXPECT_LT(written, kEvents);
  raw.reset();
  writer.join();
}

TEST_F(PageServerTest, AWriterOutlivesTheServer) {
  Start();
  RawClient raw(server_->port());
  raw.Send(GetHead("/events"));
  const std::shared_ptr<EventWriter> events = AwaitEvents();
  bool gone = false;
  events->OnGone([&] { gone = true; });
  server_.reset();
  EXPECT_TRUE(gone);
  EXPECT_FALSE(events->Write("x"));
  events->End();
}

TEST_F(PageServerTest, ClosesTheIdleToMakeRoomAndNoStream) {
  Start(2);
  RawClient stream(server_->port());
  stream.Send(GetHead("/events"));
  const std::shared_ptr<EventWriter> events = AwaitEvents();
  RawClient idle(server_->port());
  // Closes `idle`.
  EXPECT_EQ(client_->Get("/secret/")->status, 200);
  EXPECT_EQ(idle.ReadAll(), "");
  EXPECT_TRUE(events->Write("event: a\ndata: 1\n\n"));
  EXPECT_THAT(stream.ReadUntil("1\n\n"), HasSubstr("data: 1"));
}

TEST_F(PageServerTest, AReplyThatHasBegunIsNotClosedToMakeRoom) {
  Start(1);
  RawClient slow(server_->port());
  slow.Send(GetHead("/large"));
  slow.ReadUntil("\r\n\r\n");
  RawClient second(server_->port());
  second.Send(GetHead("/"));
  EXPECT_EQ(second.ReadAll(), "");
  EXPECT_EQ(slow.ReadAll().size(), kLargeBytes);
}

TEST_F(PageServerTest, WhatHasBegunIsSentBeforeTheServerEnds) {
  Start();
  RawClient reply(server_->port());
  reply.Send(GetHead("/large"));
  reply.ReadUntil("\r\n\r\n");
  RawClient stream(server_->port());
  stream.Send(GetHead("/events"));
  const std::shared_ptr<EventWriter> events = AwaitEvents();
  EXPECT_TRUE(events->Write(std::string(kLargeBytes, 'x')));
  events->End();
  stream.ReadUntil("\r\n\r\n");
  std::thread ender([this] { server_.reset(); });
  while (client_->Get("/secret/")) continue;  // Until nobody can connect.
  EXPECT_EQ(reply.ReadAll().size(), kLargeBytes);
  EXPECT_EQ(stream.ReadAll().size(), kLargeBytes);
  ender.join();
}

TEST_F(PageServerTest, TurnsAwayWhomThereIsNoRoomFor) {
  Start(1);
  RawClient stream(server_->port());
  stream.Send(GetHead("/events"));
  AwaitEvents();
  RawClient second(server_->port());
  EXPECT_EQ(second.ReadAll(), "");
}

}  // namespace
}  // namespace ddgan::playground
