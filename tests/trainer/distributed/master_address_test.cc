#include "trainer/distributed/master_address.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

namespace ddgan {
namespace {

using ::testing::HasSubstr;

// A listener on a port of loopback that the system picks.
class Listener {
 public:
  Listener() : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    EXPECT_EQ(bind(fd_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(fd_, 1), 0);
    EXPECT_EQ(getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size),
              0);
    port_ = ntohs(address.sin_port);
  }
  ~Listener() { close(fd_); }
  int port() const { return port_; }

 private:
  const int fd_;
  int port_ = 0;
};

TEST(MasterAddressTest, BindsLoopbackAlone) {
  int port;
  {
    Listener listener;
    port = listener.port();
  }
  absl::StatusOr<std::optional<int>> fd =
      MasterAddress("127.0.0.1", port).BindLoopback();
  ASSERT_TRUE(fd.ok()) << fd.status();
  ASSERT_TRUE(fd->has_value());
  sockaddr_in bound = {};
  socklen_t size = sizeof(bound);
  ASSERT_EQ(getsockname(**fd, reinterpret_cast<sockaddr*>(&bound), &size), 0);
  EXPECT_EQ(ntohl(bound.sin_addr.s_addr), INADDR_LOOPBACK);
  EXPECT_EQ(ntohs(bound.sin_port), port);
  close(**fd);
}

TEST(MasterAddressTest, LeavesOtherAddressesToTheStore) {
  // Of TEST-NET-1, which is nobody's.
  absl::StatusOr<std::optional<int>> fd =
      MasterAddress("192.0.2.1", 29500).BindLoopback();
  ASSERT_TRUE(fd.ok()) << fd.status();
  EXPECT_FALSE(fd->has_value());
}

TEST(MasterAddressTest, SaysThatAPortIsTaken) {
  Listener listener;
  const absl::Status status =
      MasterAddress("127.0.0.1", listener.port()).BindLoopback().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("MASTER_PORT=" + std::to_string(listener.port()) +
                        ": Address already in use"));
}

TEST(MasterAddressTest, FindsAListener) {
  Listener listener;
  EXPECT_TRUE(MasterAddress("127.0.0.1", listener.port())
                  .AwaitListener(absl::Seconds(60))
                  .ok());
}

TEST(MasterAddressTest, GivesUpOnAPortWhereNobodyListens) {
  int port;
  {
    Listener listener;
    port = listener.port();
  }
  const absl::Status status =
      MasterAddress("127.0.0.1", port).AwaitListener(absl::Milliseconds(150));
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("for 150ms: Connection refused"));
}

TEST(MasterAddressTest, LoopbackIsReachedThroughLoopback) {
  EXPECT_EQ(*MasterAddress("127.0.0.1", 29500).LocalInterface(), "127.0.0.1");
}

TEST(MasterAddressTest, SaysThatANameHasNoAddress) {
  // RFC 6761 keeps .invalid from ever being a name.
  const absl::Status status =
      MasterAddress("nowhere.invalid", 29500).LocalInterface().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("MASTER_ADDR=nowhere.invalid: "));
}

}  // namespace
}  // namespace ddgan
