// With a gRPC server whose every call is answered with more than a socket
// takes, and a clock that the test moves.
#include "server/connections/write_watch.h"

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>
#include <poll.h>

#include <atomic>
#include <memory>
#include <string>
#include <utility>

#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/connections/connection_acceptor.h"
#include "server/connections/deadline_timer.h"
#include "server/telemetry/metrics.h"
#include "tests/fakes/manual_clock.h"
#include "tests/server/raw_connection.h"

namespace ddgan {
namespace {

using ::testing::HasSubstr;

constexpr absl::Duration kWriteTimeout = absl::Seconds(60);
constexpr absl::Duration kPatience = absl::Seconds(60);

// Writes one large message and ends.
class LargeAnswer : public grpc::ServerGenericBidiReactor {
 public:
  LargeAnswer(const WriteWatch::Parts& parts,
              grpc::CallbackServerContext* context, absl::Notification* begun,
              absl::Notification* done)
      : writes_(parts, context), done_(done) {
    const grpc::Slice slice(std::string(64 << 20, 'x'));
    message_ = grpc::ByteBuffer(&slice, 1);
    writes_.Begin();
    StartWrite(&message_);
    begun->Notify();
  }

  void OnWriteDone(bool ok) override {
    writes_.End();
    Finish(ok ? grpc::Status::OK : grpc::Status::CANCELLED);
  }
  void OnCancel() override {}
  void OnDone() override {
    writes_.LetGo();
    done_->Notify();
    delete this;
  }

 private:
  WriteWatch writes_;
  absl::Notification* const done_;
  grpc::ByteBuffer message_;
};

class LargeAnswerService : public grpc::CallbackGenericService {
 public:
  // Serves one call. `parts` and both notifications must outlive the service.
  LargeAnswerService(const WriteWatch::Parts* parts, absl::Notification* begun,
                     absl::Notification* done)
      : parts_(parts), begun_(begun), done_(done) {}

  grpc::ServerGenericBidiReactor* CreateReactor(
      grpc::GenericCallbackServerContext* context) override {
    return new LargeAnswer(*parts_, context, begun_, done_);
  }

 private:
  const WriteWatch::Parts* const parts_;
  absl::Notification* const begun_;
  absl::Notification* const done_;
};

// Shows the descriptor that gRPC is handed.
class ShowingHandler : public ConnectionAcceptor::Handler {
 public:
  ShowingHandler(std::unique_ptr<ConnectionAcceptor::Handler> handler,
                 std::atomic<int>* socket)
      : handler_(std::move(handler)), socket_(socket) {}

  void HandleNewConnection(NewConnectionParameters* connection) override {
    *socket_ = connection->fd;
    handler_->HandleNewConnection(connection);
  }

 private:
  const std::unique_ptr<ConnectionAcceptor::Handler> handler_;
  std::atomic<int>* const socket_;
};

class WriteWatchTest : public ::testing::Test {
 protected:
  WriteWatchTest() {
    // The kernel's own timeout for such peers is too long to matter.
    acceptor_ =
        *ConnectionAcceptor::Listen({"127.0.0.1", 0},
                                    {.limits = {.total = 10, .per_peer = 10},
                                     .send_timeout = absl::Hours(1)},
                                    &metrics_);
    grpc::ServerBuilder builder;
    auto handler = std::make_unique<ShowingHandler>(
        builder.experimental().AddExternalConnectionAcceptor(
            grpc::ServerBuilder::experimental_type::ExternalConnectionType::
                FROM_FD,
            grpc::InsecureServerCredentials()),
        &socket_);
    builder.RegisterCallbackGenericService(&service_);
    server_ = builder.BuildAndStart();
    acceptor_->Start(std::move(handler));
  }
  ~WriteWatchTest() override {
    acceptor_->StopAccepting();
    acceptor_->CutAll();
    server_->Shutdown();
  }

  // Until gRPC has filled the socket, and its peer takes no more.
  void AwaitStuckWrite() {
    const absl::Time give_up = absl::Now() + kPatience;
    for (int stuck = 0; stuck < 50 && absl::Now() < give_up;) {
      absl::SleepFor(absl::Milliseconds(1));
      pollfd writable = {socket_, POLLOUT, 0};
      stuck = socket_ >= 0 && poll(&writable, 1, 0) == 0 ? stuck + 1 : 0;
    }
  }

  // The metrics, once they contain `wanted`.
  std::string MetricsWith(const std::string& wanted) {
    std::string text;
    const absl::Time give_up = absl::Now() + kPatience;
    do {
      text = metrics_.Text();
    } while (text.find(wanted) == std::string::npos && absl::Now() < give_up);
    return text;
  }

  ManualClock clock_;
  Metrics metrics_{&clock_};
  DeadlineTimer timer_{&clock_};
  std::atomic<int> socket_ = -1;
  std::unique_ptr<ConnectionAcceptor> acceptor_;
  const WriteWatch::Parts parts_ = {
      .timer = &timer_,
      .metrics = &metrics_,
      .timeout = kWriteTimeout,
      .cut = [this](const PeerEndpoint& peer) { acceptor_->Cut(peer); }};
  absl::Notification begun_;
  absl::Notification done_;
  LargeAnswerService service_{&parts_, &begun_, &done_};
  std::unique_ptr<grpc::Server> server_;
};

TEST_F(WriteWatchTest, CutsAConnectionThatTakesNoBytes) {
  RawConnection peer(acceptor_->port(), /*receive_bytes=*/4096);
  peer.OpenWindows();
  peer.SendCall(1, {});
  AwaitStuckWrite();
  clock_.Advance(kWriteTimeout);
  const char* const cancelled = "ddgan_write_timeouts_total{what=\"call\"} 1";
  EXPECT_THAT(MetricsWith(cancelled), HasSubstr(cancelled));
  // The call is cancelled, but gRPC is still writing to the connection.
  EXPECT_EQ(acceptor_->open_connections(), 1);
  EXPECT_FALSE(done_.HasBeenNotified());

  clock_.Advance(WriteWatch::kLetGoTime);
  const char* const closed = "\nddgan_connections 0";
  EXPECT_THAT(MetricsWith(closed), HasSubstr(closed));
  EXPECT_TRUE(done_.WaitForNotificationWithTimeout(kPatience));
  EXPECT_THAT(metrics_.Text(),
              HasSubstr("ddgan_write_timeouts_total{what=\"connection\"} 1"));
}

TEST_F(WriteWatchTest, CancelsACallAndKeepsAConnectionThatStillTakesBytes) {
  RawConnection peer(acceptor_->port());
  // HTTP/2's windows are as small as they begin: the rest of the message waits
  // for its reader, and not for the socket.
  peer.SendCall(1, {});
  begun_.WaitForNotification();
  clock_.Advance(kWriteTimeout);
  EXPECT_TRUE(done_.WaitForNotificationWithTimeout(kPatience));
  // At the same time as a cut would be, and after it.
  absl::Notification over;
  timer_.Add(WriteWatch::kLetGoTime, [&over] { over.Notify(); });
  clock_.Advance(WriteWatch::kLetGoTime);
  over.WaitForNotification();
  EXPECT_EQ(acceptor_->open_connections(), 1);
  EXPECT_THAT(metrics_.Text(),
              HasSubstr("ddgan_write_timeouts_total{what=\"connection\"} 0"));
}

}  // namespace
}  // namespace ddgan
