#include "engine/base/tcp_socket.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include "absl/strings/str_cat.h"

namespace ddgan {

int TcpSocket::LocalPort() const {
  sockaddr_storage address = {};
  socklen_t size = sizeof(address);
  getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
  // Both kinds of address have it in the same place.
  return ntohs(reinterpret_cast<const sockaddr_in*>(&address)->sin_port);
}

absl::StatusOr<AddressList> Resolve(const ListenAddress& address, int flags) {
  addrinfo hints = {};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int error = getaddrinfo(
      address.host.c_str(), absl::StrCat(address.port).c_str(), &hints, &found);
  if (error != 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "cannot resolve host '", address.host, "': ", gai_strerror(error)));
  }
  return AddressList(found, &freeaddrinfo);
}

}  // namespace ddgan
