// A TCP listener whose connections nobody serves.
#ifndef DDGAN_TESTS_FAKES_SILENT_LISTENER_H_
#define DDGAN_TESTS_FAKES_SILENT_LISTENER_H_

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/base/listen_address.h"
#include "gtest/gtest.h"

namespace ddgan {

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

}  // namespace ddgan

#endif  // DDGAN_TESTS_FAKES_SILENT_LISTENER_H_
