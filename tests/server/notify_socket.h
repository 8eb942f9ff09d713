// What systemd has in its place: a socket that a service sends its state to.
#ifndef DDGAN_TESTS_SERVER_NOTIFY_SOCKET_H_
#define DDGAN_TESTS_SERVER_NOTIFY_SOCKET_H_

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <string>

#include "gtest/gtest.h"

namespace ddgan {

class NotifySocket {
 public:
  // `name` as in NOTIFY_SOCKET.
  explicit NotifySocket(const std::string& name)
      : descriptor_(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    name.copy(address.sun_path, sizeof(address.sun_path) - 1);
    if (name[0] == '@') address.sun_path[0] = '\0';
    EXPECT_EQ(bind(descriptor_, reinterpret_cast<const sockaddr*>(&address),
                   offsetof(sockaddr_un, sun_path) + name.size()),
              0);
  }
  ~NotifySocket() { close(descriptor_); }

  NotifySocket(const NotifySocket&) = delete;
  NotifySocket& operator=(const NotifySocket&) = delete;

  // The next message; waits for it.
  std::string Receive() const {
    char message[4096];
    const ssize_t size = recv(descriptor_, message, sizeof(message), 0);
    return size < 0 ? "" : std::string(message, static_cast<size_t>(size));
  }

 private:
  const int descriptor_;
};

}  // namespace ddgan

#endif  // DDGAN_TESTS_SERVER_NOTIFY_SOCKET_H_
