#include "server/connections/listener_probe.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gtest/gtest.h"
#include "tests/fakes/silent_listener.h"

namespace ddgan {
namespace {

TEST(ListenerProbeTest, IsNotFooledByAListenerThatNeverAccepts) {
  const SilentListener listener;
  const absl::Status status =
      ProbeGrpcListener(listener.address(), absl::Milliseconds(20), [](int) {});
  EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
}

TEST(ListenerProbeTest, TheTlsProbeIsNotFooledEither) {
  const SilentListener listener;
  const absl::Status status =
      ProbeTlsListener(listener.address(), absl::Milliseconds(50), [](int) {});
  EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
}

TEST(ListenerProbeTest, ReportsAPortWhereNobodyListens) {
  // Bound, so that nobody else is given the port meanwhile.
  const int holder = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in bound = {};
  bound.sin_family = AF_INET;
  bound.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(bound);
  ASSERT_EQ(bind(holder, reinterpret_cast<sockaddr*>(&bound), size), 0);
  ASSERT_EQ(getsockname(holder, reinterpret_cast<sockaddr*>(&bound), &size), 0);
  const ListenAddress address = {"127.0.0.1", ntohs(bound.sin_port)};
  const absl::Status status =
      ProbeGrpcListener(address, absl::Seconds(5), [](int) {});
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  close(holder);
}

}  // namespace
}  // namespace ddgan
