#include "server/connections/listen_address.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ddgan {
namespace {

using ::testing::HasSubstr;

// Listens on a port of the loopback and never accepts: the kernel completes
// connections all the same, as for a gRPC server whose listener has died.
class SilentListener {
 public:
  SilentListener() : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)),
              0);
    EXPECT_EQ(listen(fd_, 16), 0);
    socklen_t size = sizeof(address);
    getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
  }
  ~SilentListener() { close(fd_); }
  ListenAddress address() const { return {"127.0.0.1", port_}; }

 private:
  const int fd_;
  int port_ = 0;
};

TEST(ListenAddressTest, ReadsWhatItWrites) {
  for (const char* text : {"127.0.0.1:0", "localhost:65535", "[::1]:50051"}) {
    const auto address = ParseListenAddress(text);
    ASSERT_TRUE(address.ok()) << address.status();
    EXPECT_EQ(ToString(*address), text);
  }
}

TEST(ListenAddressTest, SaysThatAPortIsInUse) {
  const SilentListener listener;
  const absl::Status status = CheckCanListen(listener.address());
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("is in use"));
}

TEST(ListenAddressTest, SaysThatAHostIsNotThisMachines) {
  const absl::Status status = CheckCanListen({"192.0.2.1", 0});
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("192.0.2.1"));
}

TEST(ListenAddressTest, FreePortsAreFree) {
  EXPECT_TRUE(CheckCanListen({"127.0.0.1", 0}).ok());
}

TEST(ListenAddressTest, ProbeIsNotFooledByAListenerThatNeverAccepts) {
  const SilentListener listener;
  const absl::Status status =
      ProbeGrpcListener(listener.address(), absl::Milliseconds(20), [](int) {});
  EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
}

TEST(ListenAddressTest, TheTlsProbeIsNotFooledEither) {
  const SilentListener listener;
  const absl::Status status =
      ProbeTlsListener(listener.address(), absl::Milliseconds(50), [](int) {});
  EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
}

TEST(ListenAddressTest, KnowsTheLoopback) {
  for (const char* host : {"localhost", "127.0.0.1", "127.1.2.3", "::1"}) {
    EXPECT_TRUE(IsLoopback({host, 1})) << host;
  }
  // What is not certain is not.
  for (const char* host : {"0.0.0.0", "::", "10.0.0.1", "128.0.0.1", "::2",
                           "localhost.example.org", "server", "127.1"}) {
    EXPECT_FALSE(IsLoopback({host, 1})) << host;
  }
}

TEST(ListenAddressTest, ProbeReportsAPortWhereNobodyListens) {
  ListenAddress address;
  {
    const SilentListener listener;
    address = listener.address();
  }
  EXPECT_TRUE(absl::IsUnavailable(
      ProbeGrpcListener(address, absl::Seconds(5), [](int) {})));
}

TEST(ListenAddressTest, ListensOnOnePortOfTheSystemsChoice) {
  int port = 0;
  const auto sockets = ListenOn({"localhost", 0}, 1, &port);
  ASSERT_TRUE(sockets.ok()) << sockets.status();
  EXPECT_FALSE(sockets->empty());
  EXPECT_GT(port, 0);
  EXPECT_TRUE(absl::IsFailedPrecondition(CheckCanListen({"localhost", port})));
  for (int socket : *sockets) close(socket);
  EXPECT_TRUE(CheckCanListen({"localhost", port}).ok());
}

}  // namespace
}  // namespace ddgan
