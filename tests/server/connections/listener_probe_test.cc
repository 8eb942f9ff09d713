#include "server/connections/listener_probe.h"

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
  ListenAddress address;
  {
    const SilentListener listener;
    address = listener.address();
  }
  EXPECT_TRUE(absl::IsUnavailable(
      ProbeGrpcListener(address, absl::Seconds(5), [](int) {})));
}

}  // namespace
}  // namespace ddgan
