#include "engine/base/listen_address.h"

#include <unistd.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/fakes/silent_listener.h"

namespace ddgan {
namespace {

using ::testing::HasSubstr;

TEST(ListenAddressTest, ReadsWhatItWrites) {
  for (const char* text : {"127.0.0.1:0", "localhost:65535", "[::1]:50051"}) {
    const auto address = ParseListenAddress(text);
    ASSERT_TRUE(address.ok()) << address.status();
    EXPECT_EQ(ToString(*address), text);
  }
}

TEST(ListenAddressTest, NamesWhatIsNoAddress) {
  for (const char* text :
       {"", "9090", ":9090", "localhost", "localhost:", "localhost:x",
        "localhost:65536", "localhost:-1", "::1:9090", "[]:9090", "[::1:9090",
        "::1]:9090", "[[::1]]:9090", "localhost: 80", "localhost:80 ",
        "localhost:+80", "localhost:080", "[localhost]:80"}) {
    EXPECT_EQ(ParseListenAddress(text).status(),
              absl::InvalidArgumentError(absl::StrCat(
                  "'", text,
                  "' must be host:port with a port in [0, 65535], an IPv6 host "
                  "in brackets: [::1]:50051")));
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
