// What listening on an address (listen_address.h) and connecting to one have in
// common.
#ifndef DDGAN_ENGINE_BASE_TCP_SOCKET_H_
#define DDGAN_ENGINE_BASE_TCP_SOCKET_H_

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "engine/base/listen_address.h"

namespace ddgan {

// Owns a descriptor; one below 0 is none.
class TcpSocket {
 public:
  // A socket that does not block, of the family of `target`; none, with errno
  // set, if there can be none.
  explicit TcpSocket(const addrinfo& target)
      : fd_(socket(target.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
                   0)) {}
  TcpSocket(TcpSocket&& other) noexcept : fd_(other.Release()) {}
  ~TcpSocket() {
    if (fd_ >= 0) close(fd_);
  }

  int fd() const { return fd_; }
  // The port that it is bound to.
  int LocalPort() const;
  // The descriptor, which is the caller's from now on.
  int Release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

using AddressList = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

// The socket addresses of the host, with the port. `flags` as for getaddrinfo.
// InvalidArgument if there is no such host.
absl::StatusOr<AddressList> Resolve(const ListenAddress& address, int flags);

}  // namespace ddgan

#endif  // DDGAN_ENGINE_BASE_TCP_SOCKET_H_
