#include "engine/base/http_pages.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ddgan {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// A client that sends and reads what the test says.
class Client {
 public:
  explicit Client(int port, int receive_bytes = 0)
      : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    if (receive_bytes > 0) {
      setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &receive_bytes,
                 sizeof(receive_bytes));
    }
    const timeval limit = {.tv_sec = 30, .tv_usec = 0};
    setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<in_port_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(socket_, reinterpret_cast<sockaddr*>(&address),
                      sizeof(address)),
              0);
  }
  Client(Client&& other) noexcept : socket_(std::exchange(other.socket_, -1)) {}
  ~Client() {
    if (socket_ >= 0) close(socket_);
  }

  void Send(const std::string& text) {
    send(socket_, text.data(), text.size(), MSG_NOSIGNAL);
  }

  // Whether anything comes, or the connection ends.
  bool HearsWithin(absl::Duration limit) {
    pollfd wanted = {.fd = socket_, .events = POLLIN, .revents = 0};
    return poll(&wanted, 1, static_cast<int>(absl::ToInt64Milliseconds(limit)));
  }

  // All that comes until the server closes; "late" after 30 s.
  std::string ReadToEnd() {
    std::string all;
    char bytes[4096];
    while (true) {
      const ssize_t size = recv(socket_, bytes, sizeof(bytes), 0);
      if (size == 0 || (size < 0 && errno == ECONNRESET)) return all;
      if (size < 0) return "late";
      all.append(bytes, static_cast<size_t>(size));
    }
  }

 private:
  int socket_;
};

std::unique_ptr<HttpPages> Start(std::vector<HttpPage> pages,
                                 const HttpPages::Options& options = {}) {
  absl::StatusOr<std::unique_ptr<HttpPages>> started =
      HttpPages::Start({"127.0.0.1", 0}, std::move(pages), options);
  EXPECT_TRUE(started.ok()) << started.status();
  return *std::move(started);
}

HttpPage Constant(std::string path, std::string text) {
  return {std::move(path), [text = std::move(text)] {
            return HttpAnswer{200, text};
          }};
}

std::string Ask(int port, const std::string& request) {
  Client client(port);
  client.Send(request);
  return client.ReadToEnd();
}

std::string Get(int port, const std::string& path) {
  return Ask(port, absl::StrCat("GET ", path, " HTTP/1.1\r\nHost: h\r\n\r\n"));
}

TEST(HttpPagesTest, AnswersEachPageWithItsStatusTypeAndText) {
  const auto pages = Start(
      {Constant("/a", "text of a"), {"/b", [] {
                                       return HttpAnswer{503, "no", "x/y"};
                                     }}});
  EXPECT_THAT(
      Get(pages->port(), "/a"),
      AllOf(StartsWith("HTTP/1.1 200 OK\r\n"),
            HasSubstr("Content-Type: text/plain; charset=utf-8\r\n"),
            HasSubstr("Content-Length: 9\r\n"),
            HasSubstr("Connection: close\r\n"), EndsWith("\r\n\r\ntext of a")));
  EXPECT_THAT(Get(pages->port(), "/b"),
              AllOf(StartsWith("HTTP/1.1 503 "), HasSubstr("x/y"),
                    EndsWith("\r\n\r\nno")));
  EXPECT_THAT(Get(pages->port(), "/a?x=1"), EndsWith("text of a"));
}

TEST(HttpPagesTest, RefusesWhatItDoesNotServe) {
  const auto pages =
      Start({Constant("/a", "text of a")}, {.patience = absl::Seconds(5)});
  const int port = pages->port();
  EXPECT_THAT(Get(port, "/c"), StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(Ask(port, "POST /a HTTP/1.1\r\nHost: h\r\n\r\n"),
              StartsWith("HTTP/1.1 405 "));
  EXPECT_THAT(
      Ask(port, "GET /a HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n"),
      StartsWith("HTTP/1.1 413 "));
  // Also where the body comes: it is not what resets the connection.
  for (int i = 0; i < 20; ++i) {
    EXPECT_THAT(Ask(port, absl::StrCat("GET /a HTTP/1.1\r\nHost: h\r\n"
                                       "Content-Length: 1000000\r\n\r\n",
                                       std::string(1'000'000, 'x'))),
                StartsWith("HTTP/1.1 413 "));
  }
  EXPECT_THAT(Ask(port, "GET HTTP/1.1\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(
      Ask(port, absl::StrCat("GET /a HTTP/1.1\r\nX: ", std::string(9000, 'x'))),
      Not(HasSubstr("text of a")));
  const std::string head = Ask(port, "HEAD /a HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_THAT(head, AllOf(StartsWith("HTTP/1.1 200 "), EndsWith("\r\n\r\n"),
                          HasSubstr("Content-Length: 9\r\n")));
}

// Whoever sends a byte now and then does not get more time for it.
TEST(HttpPagesTest, ClosesWhoeverDoesNotAskInTime) {
  const auto pages =
      Start({Constant("/a", "a")}, {.patience = absl::Milliseconds(200)});
  Client silent(pages->port());
  Client slow(pages->port());
  const absl::Time give_up = absl::Now() + absl::Seconds(10);
  slow.Send("GET /a HTTP/1.1\r\nX: ");
  while (!slow.HearsWithin(absl::Milliseconds(50)) && absl::Now() < give_up) {
    slow.Send("x");
  }
  EXPECT_LT(absl::Now(), give_up);
  EXPECT_EQ(slow.ReadToEnd(), "");
  EXPECT_EQ(silent.ReadToEnd(), "");
  EXPECT_LT(absl::Now(), give_up);
}

TEST(HttpPagesTest, ClosesWhoeverDoesNotReadInTime) {
  // More than the sockets of both ends hold.
  const std::string large(64 << 20, 'x');
  const auto pages =
      Start({Constant("/large", large)}, {.patience = absl::Milliseconds(500)});
  Client slow(pages->port(), 4096);
  slow.Send("GET /large HTTP/1.1\r\nHost: h\r\n\r\n");
  // Each is closed once its time is over, one after the other.
  EXPECT_EQ(Client(pages->port()).ReadToEnd(), "");
  EXPECT_EQ(Client(pages->port()).ReadToEnd(), "");
  EXPECT_LT(slow.ReadToEnd().size(), large.size());
}

TEST(HttpPagesTest, AProbeIsAnsweredWhileSlowClientsHangOn) {
  const std::string large(8 << 20, 'x');
  const auto pages =
      Start({Constant("/livez", "ok"), Constant("/large", large)},
            {.threads = 2, .patience = absl::Hours(1)});
  std::vector<Client> slow;
  for (int i = 0; i < 200; ++i) {
    slow.emplace_back(pages->port(), 4096);
    if (i % 3 == 1) slow.back().Send("GET /livez HTTP/1.1\r\nHos");
    if (i % 3 == 2) {
      slow.back().Send("GET /large HTTP/1.1\r\nHost: h\r\n\r\n");
    }
  }
  for (int i = 0; i < 20; ++i) {
    EXPECT_THAT(Get(pages->port(), "/livez"), EndsWith("ok"));
  }
}

TEST(HttpPagesTest, AConnectionTooManyClosesTheOneThatHasWaitedLongest) {
  const auto pages = Start({Constant("/a", "a")},
                           {.patience = absl::Hours(1), .max_connections = 2});
  Client first(pages->port());
  Client second(pages->port());
  Client third(pages->port());
  EXPECT_EQ(first.ReadToEnd(), "");
  second.Send("GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_THAT(second.ReadToEnd(), EndsWith("\r\na"));
  third.Send("GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_THAT(third.ReadToEnd(), EndsWith("\r\na"));
}

TEST(HttpPagesTest, APageThatTakesLongHoldsUpNoOther) {
  absl::Notification asked;
  absl::Notification go;
  const auto pages = Start({{"/slow",
                             [&] {
                               asked.Notify();
                               go.WaitForNotification();
                               return HttpAnswer{200, "slow"};
                             }},
                            Constant("/a", "a")},
                           {.threads = 2});
  Client slow(pages->port());
  slow.Send("GET /slow HTTP/1.1\r\nHost: h\r\n\r\n");
  asked.WaitForNotification();
  EXPECT_THAT(Get(pages->port(), "/a"), EndsWith("\r\na"));
  go.Notify();
  EXPECT_THAT(slow.ReadToEnd(), EndsWith("slow"));
}

// None of them can be closed, and none is refused.
TEST(HttpPagesTest, AConnectionTooManyWaitsWhileAllOthersAreAnswered) {
  absl::BlockingCounter asked(2);
  absl::Notification go;
  const auto pages =
      Start({{"/slow",
              [&] {
                asked.DecrementCount();
                go.WaitForNotification();
                return HttpAnswer{200, "slow"};
              }},
             Constant("/a", "a")},
            {.threads = 2, .patience = absl::Hours(1), .max_connections = 2});
  std::vector<Client> slow;
  for (int i = 0; i < 2; ++i) {
    slow.emplace_back(pages->port());
    slow.back().Send("GET /slow HTTP/1.1\r\nHost: h\r\n\r\n");
  }
  asked.Wait();
  Client third(pages->port());
  third.Send("GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_FALSE(third.HearsWithin(absl::Milliseconds(100)));
  go.Notify();
  EXPECT_THAT(third.ReadToEnd(), EndsWith("\r\na"));
  for (Client& one : slow) EXPECT_THAT(one.ReadToEnd(), EndsWith("slow"));
}

TEST(HttpPagesTest, EndsWithConnectionsOpen) {
  auto pages = Start({Constant("/a", "a")}, {.patience = absl::Hours(1)});
  Client silent(pages->port());
  EXPECT_THAT(Get(pages->port(), "/a"), EndsWith("\r\na"));
  pages.reset();
  EXPECT_EQ(silent.ReadToEnd(), "");
}

TEST(HttpPagesTest, APortThatIsTakenIsOneSentence) {
  const auto pages = Start({});
  const absl::Status taken =
      HttpPages::Start({"127.0.0.1", pages->port()}, {}).status();
  EXPECT_EQ(taken.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(taken.message()), HasSubstr("in use"));
}

}  // namespace
}  // namespace ddgan
