// With a gRPC server behind it that has only the health service.
#include "server/connections/connection_acceptor.h"

#include <arpa/inet.h>
#include <grpcpp/grpcpp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "gtest/gtest.h"
#include "server/telemetry/health_service.h"
#include "server/telemetry/metrics.h"
#include "tests/fakes/manual_clock.h"
#include "tests/fakes/temporary_folder.h"

namespace ddgan {
namespace {

using grpc::health::v1::Health;
using ::testing::HasSubstr;

// A TCP connection from an address of the loopback.
class Connection {
 public:
  Connection(int port, const char* source)
      : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    inet_pton(AF_INET, source, &address.sin_addr);
    EXPECT_EQ(
        bind(socket_, reinterpret_cast<sockaddr*>(&address), sizeof(address)),
        0);
    address.sin_port = htons(static_cast<in_port_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(socket_, reinterpret_cast<sockaddr*>(&address),
                      sizeof(address)),
              0);
  }
  Connection(Connection&& other) noexcept
      : socket_(std::exchange(other.socket_, -1)) {}
  ~Connection() {
    if (socket_ >= 0) close(socket_);
  }

  // Blocks until the server has sent something, or closed: false.
  bool IsServed() {
    char byte;
    return recv(socket_, &byte, 1, MSG_PEEK) == 1;
  }

  // Blocks until the server has closed.
  void WaitForEnd() {
    char bytes[256];
    while (recv(socket_, bytes, sizeof(bytes), 0) > 0) continue;
  }

  // As far as there is room for them.
  void Send(const std::string& bytes) const {
    send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  }

  int port() const {
    sockaddr_in address = {};
    socklen_t size = sizeof(address);
    getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size);
    return ntohs(address.sin_port);
  }

 private:
  int socket_;
};

class ConnectionAcceptorTest : public ::testing::Test {
 protected:
  void Start(const ConnectionBudget::Limits& limits,
             const std::shared_ptr<grpc::ServerCredentials>& credentials =
                 grpc::InsecureServerCredentials()) {
    auto acceptor = ConnectionAcceptor::Listen({"127.0.0.1", 0},
                                               {.limits = limits}, &metrics_);
    ASSERT_TRUE(acceptor.ok()) << acceptor.status();
    acceptor_ = *std::move(acceptor);
    grpc::ServerBuilder builder;
    health_.SetServingStatus("", true);
    builder.RegisterService(&health_);
    auto handler = builder.experimental().AddExternalConnectionAcceptor(
        grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD,
        credentials);
    server_ = builder.BuildAndStart();
    ASSERT_NE(server_, nullptr);
    acceptor_->Start(std::move(handler));
  }

  void TearDown() override {
    if (acceptor_ != nullptr) acceptor_->StopAccepting();
    if (server_ != nullptr) {
      server_->Shutdown(absl::ToChronoTime(absl::Now()));
    }
  }

  std::shared_ptr<grpc::Channel> Channel(
      const std::shared_ptr<grpc::ChannelCredentials>& credentials =
          grpc::InsecureChannelCredentials()) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    arguments.SetSslTargetNameOverride("localhost");
    return grpc::CreateCustomChannel(
        absl::StrCat("127.0.0.1:", acceptor_->port()), credentials, arguments);
  }

  static grpc::Status Check(const std::shared_ptr<grpc::Channel>& channel) {
    grpc::ClientContext context;
    context.set_wait_for_ready(true);
    context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(60)));
    grpc::health::v1::HealthCheckResponse response;
    return Health::NewStub(channel)->Check(&context, {}, &response);
  }

  void WaitForOpen(int wanted) {
    const absl::Time give_up = absl::Now() + absl::Seconds(60);
    while (acceptor_->open_connections() != wanted && absl::Now() < give_up) {
      absl::SleepFor(absl::Milliseconds(1));
    }
    EXPECT_EQ(acceptor_->open_connections(), wanted);
  }

  ManualClock clock_;
  Metrics metrics_{&clock_};
  std::unique_ptr<ConnectionAcceptor> acceptor_;
  HealthService health_;  // Something to serve.
  std::unique_ptr<grpc::Server> server_;
};

TEST_F(ConnectionAcceptorTest, CountsConnectionsUntilEitherSideClosesThem) {
  Start({.total = 10, .per_peer = 10});
  auto channel = Channel();
  EXPECT_TRUE(Check(channel).ok());
  WaitForOpen(1);
  {
    const Connection silent(acceptor_->port(), "127.0.0.2");
    WaitForOpen(2);
    EXPECT_THAT(metrics_.Text(), HasSubstr("\nddgan_connections 2"));
  }
  WaitForOpen(1);
  channel.reset();
  WaitForOpen(0);
}

TEST_F(ConnectionAcceptorTest, ClosesWhatIsAboveACapAtOnceAndTakesItLater) {
  Start({.total = 3, .per_peer = 2});
  std::vector<Connection> held;
  for (const char* source : {"127.0.0.2", "127.0.0.2"}) {
    held.emplace_back(acceptor_->port(), source);
    WaitForOpen(static_cast<int>(held.size()));
  }
  EXPECT_FALSE(Connection(acceptor_->port(), "127.0.0.2").IsServed());
  EXPECT_TRUE(Check(Channel()).ok());
  WaitForOpen(2);
  held.emplace_back(acceptor_->port(), "127.0.0.3");
  WaitForOpen(3);
  EXPECT_FALSE(Connection(acceptor_->port(), "127.0.0.4").IsServed());
  const std::string metrics = metrics_.Text();
  EXPECT_THAT(metrics,
              HasSubstr("ddgan_connections_refused_total{reason=\"peer\"} 1"));
  EXPECT_THAT(metrics,
              HasSubstr("ddgan_connections_refused_total{reason=\"total\"} 1"));
  held.clear();
  WaitForOpen(0);
  EXPECT_TRUE(Check(Channel()).ok());
}

TEST_F(ConnectionAcceptorTest, AProbeIsTakenAboveTheCapsAndNotCounted) {
  Start({.total = 1, .per_peer = 1});
  const Connection held(acceptor_->port(), "127.0.0.1");
  WaitForOpen(1);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(acceptor_->Probe(absl::Seconds(60)), absl::OkStatus());
  }
  EXPECT_EQ(acceptor_->open_connections(), 1);
  EXPECT_FALSE(Connection(acceptor_->port(), "127.0.0.1").IsServed());
}

TEST_F(ConnectionAcceptorTest, CutsTheConnectionThatItIsToldTo) {
  Start({.total = 10, .per_peer = 10});
  Connection kept(acceptor_->port(), "127.0.0.2");
  Connection cut(acceptor_->port(), "127.0.0.2");
  WaitForOpen(2);
  EXPECT_TRUE(acceptor_->Cut({"127.0.0.2", cut.port()}));
  cut.WaitForEnd();
  WaitForOpen(1);
  EXPECT_FALSE(acceptor_->Cut({"127.0.0.2", cut.port()}));
  EXPECT_TRUE(kept.IsServed());
}

// As gRPC does with a connection whose peer sends without a pause: reads it
// until its end, on the thread that hands it over.
class HeldUpHandler : public ConnectionAcceptor::Handler {
 public:
  void HandleNewConnection(NewConnectionParameters* connection) override {
    ++handed_over;
    char bytes[4096];
    pollfd entry = {connection->fd, POLLIN, 0};
    do {
      poll(&entry, 1, -1);
    } while (recv(connection->fd, bytes, sizeof(bytes), 0) > 0);
    shutdown(connection->fd, SHUT_RDWR);
    close(connection->fd);
  }

  static inline std::atomic<int> handed_over = 0;
};

class HeldUpAcceptorTest : public ConnectionAcceptorTest {
 protected:
  void Start(const ConnectionAcceptor::Options& options) {
    HeldUpHandler::handed_over = 0;
    acceptor_ =
        *ConnectionAcceptor::Listen({"127.0.0.1", 0}, options, &metrics_);
    acceptor_->Start(std::make_unique<HeldUpHandler>());
  }

  // Sends until the connection is cut; then another one is taken.
  void ExpectCut() {
    const char* const cut =
        "ddgan_requests_not_received_total{reason=\"too_much\"} 1\n";
    const absl::Time give_up = absl::Now() + absl::Seconds(60);
    const Connection flood(acceptor_->port(), "127.0.0.2");
    while (!absl::StrContains(metrics_.Text(), cut)) {
      flood.Send(std::string(4096, 'x'));
      ASSERT_LT(absl::Now(), give_up);
    }
    const Connection next(acceptor_->port(), "127.0.0.3");
    while (HeldUpHandler::handed_over < 2) ASSERT_LT(absl::Now(), give_up);
    EXPECT_TRUE(acceptor_->Cut({"127.0.0.3", next.port()}));
    WaitForOpen(0);
  }
};

TEST_F(HeldUpAcceptorTest, CutsWhoSendsTooMuchThoughItHoldsUpItsHandOver) {
  Start({.limits = {.total = 10, .per_peer = 10},
         .receive = {.total = 1 << 20, .per_peer = 1 << 20},
         .hand_over_limit = absl::Hours(1)});
  ExpectCut();
}

TEST_F(HeldUpAcceptorTest, CutsWhoHoldsUpItsHandOver) {
  Start({.limits = {.total = 10, .per_peer = 10},
         .hand_over_limit = absl::Milliseconds(1)});
  ExpectCut();
}

TEST_F(HeldUpAcceptorTest, WhoHoldsUpHandOversDoesNotMakeTheProbeFail) {
  Start({.limits = {.total = 10, .per_peer = 10},
         .hand_over_limit = absl::Milliseconds(100)});
  // The handler answers nobody.
  EXPECT_TRUE(
      absl::IsDeadlineExceeded(acceptor_->Probe(absl::Milliseconds(50))));
  const absl::Time give_up = absl::Now() + absl::Seconds(60);
  absl::Status status;
  // Again if the flood was over before the probe began.
  do {
    ASSERT_LT(absl::Now(), give_up);
    const int before = HeldUpHandler::handed_over;
    const Connection flood(acceptor_->port(), "127.0.0.2");
    while (HeldUpHandler::handed_over == before)
      ASSERT_LT(absl::Now(), give_up);
    std::atomic<bool> over = false;
    std::thread sender([&] {
      while (!over) flood.Send(std::string(4096, 'x'));
    });
    status = acceptor_->Probe(absl::Seconds(1));
    over = true;
    sender.join();
  } while (!status.ok());
}

// gRPC's own listener never accepts again after this (CVE-2023-4785).
TEST_F(ConnectionAcceptorTest, GoesOnAfterDescriptorsRanOut) {
  Start({.total = 100, .per_peer = 100});
  std::vector<Connection> held;
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  for (int i = 0; i < 20; ++i)
    held.emplace_back(acceptor_->port(), "127.0.0.2");
  for (Connection& connection : held) EXPECT_TRUE(connection.IsServed());
  held.reserve(21);
  {
    // The next descriptor is the last one: the connection's own here.
    const int next = dup(0);
    close(next);
    rlimit limit = before;
    limit.rlim_cur = next + 1;
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
    held.emplace_back(acceptor_->port(), "127.0.0.2");
    EXPECT_FALSE(held.back().IsServed());
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  }
  EXPECT_THAT(metrics_.Text(),
              HasSubstr("ddgan_connections_refused_total{reason="
                        "\"descriptors\"} 1"));
  EXPECT_TRUE(Check(Channel()).ok());
}

// Scrapes, probes and the files of new versions need some.
TEST_F(ConnectionAcceptorTest, LeavesTheLastDescriptorsToOthers) {
  Start({.total = 100, .per_peer = 100});
  EXPECT_TRUE(Connection(acceptor_->port(), "127.0.0.2").IsServed());
  WaitForOpen(0);
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  // The client, and the two that a connection takes, leave 13 of these.
  const int next = dup(0);
  close(next);
  rlimit limit = before;
  limit.rlim_cur = next + 16;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
  EXPECT_FALSE(Connection(acceptor_->port(), "127.0.0.2").IsServed());
  std::vector<int> others;
  for (int i = 0; i < 10; ++i) others.push_back(dup(0));
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  for (const int descriptor : others) {
    EXPECT_GE(descriptor, 0);
    close(descriptor);
  }
  EXPECT_THAT(metrics_.Text(),
              HasSubstr("ddgan_connections_refused_total{reason="
                        "\"descriptors\"} 1"));
  EXPECT_TRUE(Check(Channel()).ok());
}

TEST_F(ConnectionAcceptorTest, StopClosesThePortAndKeepsConnections) {
  Start({.total = 10, .per_peer = 10});
  const auto channel = Channel();
  EXPECT_TRUE(Check(channel).ok());
  acceptor_->StopAccepting();
  EXPECT_TRUE(Check(channel).ok());
  EXPECT_TRUE(absl::IsUnavailable(acceptor_->Probe(absl::Seconds(60))));
  EXPECT_EQ(acceptor_->open_connections(), 1);
  // GOAWAY, and then the end of the connection.
  server_->Shutdown(absl::ToChronoTime(absl::Now() + absl::Seconds(60)));
  WaitForOpen(0);
}

// What a KeepingHandler was handed.
struct KeptConnections {
  ~KeptConnections() {
    for (const int socket : sockets) close(socket);
  }

  absl::Mutex mu;
  std::vector<int> sockets ABSL_GUARDED_BY(mu);
  bool resume ABSL_GUARDED_BY(mu) = false;
};

// In the place of gRPC: keeps what it is handed, and can be held up.
class KeepingHandler : public ConnectionAcceptor::Handler {
 public:
  explicit KeepingHandler(KeptConnections* kept) : kept_(kept) {}
  void HandleNewConnection(NewConnectionParameters* connection) override {
    absl::MutexLock lock(&kept_->mu);
    kept_->sockets.push_back(connection->fd);
    kept_->mu.Await(absl::Condition(&kept_->resume));
  }

 private:
  KeptConnections* const kept_;
};

TEST_F(ConnectionAcceptorTest, AStopTakesAllThatWaits) {
  constexpr size_t kCount = 200;
  KeptConnections kept;
  auto acceptor = ConnectionAcceptor::Listen(
      {"127.0.0.1", 0}, {.limits = {.total = 1000, .per_peer = 1000}}, nullptr);
  ASSERT_TRUE(acceptor.ok()) << acceptor.status();
  (*acceptor)->Start(std::make_unique<KeepingHandler>(&kept));
  std::vector<Connection> waiting;
  for (size_t i = 0; i < kCount; ++i) {
    waiting.emplace_back((*acceptor)->port(), "127.0.0.2");
  }
  std::thread stop([&] { (*acceptor)->StopAccepting(); });
  {
    absl::MutexLock lock(&kept.mu);
    kept.resume = true;
  }
  stop.join();
  absl::MutexLock lock(&kept.mu);
  EXPECT_EQ(kept.sockets.size(), kCount);
}

// How many descriptors the process's epoll sets watch.
int WatchedByEpoll() {
  int count = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator("/proc/self/fdinfo")) {
    std::ifstream file(entry.path());
    for (std::string line; std::getline(file, line);) {
      if (absl::StartsWith(line, "tfd:")) ++count;
    }
  }
  return count;
}

// gRPC closes its descriptor when it pleases. Until then the socket would be
// reported as hung up again and again.
TEST_F(ConnectionAcceptorTest, WatchesNoConnectionThatHasEnded) {
  KeptConnections kept;
  {
    absl::MutexLock lock(&kept.mu);
    kept.resume = true;
  }
  auto acceptor = ConnectionAcceptor::Listen(
      {"127.0.0.1", 0}, {.limits = {.total = 10, .per_peer = 10}}, nullptr);
  ASSERT_TRUE(acceptor.ok()) << acceptor.status();
  (*acceptor)->Start(std::make_unique<KeepingHandler>(&kept));
  const auto wait_for_open = [&](int wanted) {
    while ((*acceptor)->open_connections() != wanted) {
      absl::SleepFor(absl::Milliseconds(1));
    }
  };
  const int before = WatchedByEpoll();
  {
    const Connection connection((*acceptor)->port(), "127.0.0.2");
    wait_for_open(1);
    EXPECT_EQ(WatchedByEpoll(), before + 1);
    absl::MutexLock lock(&kept.mu);
    ASSERT_EQ(kept.sockets.size(), 1u);
    shutdown(kept.sockets[0], SHUT_RDWR);
  }
  wait_for_open(0);
  EXPECT_EQ(WatchedByEpoll(), before);
}

TEST_F(ConnectionAcceptorTest, SaysThatThePortIsTaken) {
  Start({.total = 10, .per_peer = 10});
  const auto second = ConnectionAcceptor::Listen(
      {"127.0.0.1", acceptor_->port()}, {}, &metrics_);
  EXPECT_TRUE(absl::IsFailedPrecondition(second.status()));
  EXPECT_THAT(std::string(second.status().message()), HasSubstr("in use"));
}

TEST_F(ConnectionAcceptorTest, ServesTls) {
  const TemporaryFolder folder;
  const std::string key = (folder.path() / "key.pem").string();
  const std::string certificate = (folder.path() / "certificate.pem").string();
  const std::string command = absl::StrCat(
      "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 "
      "-nodes -days 2 -subj /CN=localhost -keyout ",
      key, " -out ", certificate, " 2>/dev/null");
  ASSERT_EQ(std::system(command.c_str()), 0);
  auto read = [](const std::string& path) {
    std::ifstream file(path);
    return std::string(std::istreambuf_iterator<char>(file), {});
  };
  grpc::SslServerCredentialsOptions server_options;
  server_options.pem_key_cert_pairs.push_back({read(key), read(certificate)});
  Start({.total = 10, .per_peer = 10},
        grpc::SslServerCredentials(server_options));
  grpc::SslCredentialsOptions client_options;
  client_options.pem_root_certs = read(certificate);
  auto channel = Channel(grpc::SslCredentials(client_options));
  const grpc::Status status = Check(channel);
  EXPECT_TRUE(status.ok()) << status.error_message();
  WaitForOpen(1);
  channel.reset();
  WaitForOpen(0);
}

}  // namespace
}  // namespace ddgan
