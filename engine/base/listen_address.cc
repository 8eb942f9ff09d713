#include "engine/base/listen_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "engine/base/tcp_socket.h"

namespace ddgan {
namespace {

constexpr int kMaxPort = 65535;

absl::Status ListenError(const ListenAddress& address, int error) {
  switch (error) {
    case EADDRINUSE:
      return absl::FailedPreconditionError(
          absl::StrCat("port ", address.port, " is in use by another process"));
    case EACCES:
      return absl::PermissionDeniedError(
          absl::StrCat("this user may not listen on port ", address.port));
    case EADDRNOTAVAIL:
      return absl::InvalidArgumentError(absl::StrCat(
          "'", address.host, "' is not an address of this machine"));
    default:
      return absl::InternalError(absl::StrCat(
          "cannot listen on ", ToString(address), ": ", strerror(error)));
  }
}

void SetPort(sockaddr* address, int port) {
  const in_port_t value = htons(static_cast<in_port_t>(port));
  if (address->sa_family == AF_INET6) {
    reinterpret_cast<sockaddr_in6*>(address)->sin6_port = value;
  } else {
    reinterpret_cast<sockaddr_in*>(address)->sin_port = value;
  }
}

// False with errno set.
bool Listen(const TcpSocket& socket, const addrinfo& target, int backlog) {
  const int yes = 1;
  const int no = 0;
  setsockopt(socket.fd(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  if (target.ai_family == AF_INET6) {
    setsockopt(socket.fd(), IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof(no));
  }
  return bind(socket.fd(), target.ai_addr, target.ai_addrlen) == 0 &&
         listen(socket.fd(), backlog) == 0;
}

}  // namespace

std::string ToString(const ListenAddress& address) {
  const bool ipv6 = address.host.find(':') != std::string::npos;
  return ipv6 ? absl::StrCat("[", address.host, "]:", address.port)
              : absl::StrCat(address.host, ":", address.port);
}

absl::StatusOr<ListenAddress> ParseListenAddress(absl::string_view text) {
  const size_t colon = text.rfind(':');
  ListenAddress address;
  if (colon != absl::string_view::npos &&
      absl::SimpleAtoi(text.substr(colon + 1), &address.port) &&
      address.port >= 0 && address.port <= kMaxPort) {
    absl::string_view host = text.substr(0, colon);
    if (absl::ConsumePrefix(&host, "[")) absl::ConsumeSuffix(&host, "]");
    address.host = std::string(host);
    // Brackets that are not in their place, or a port as " 80" or "+80".
    if (!host.empty() && host.find_first_of("[]") == absl::string_view::npos &&
        ToString(address) == text) {
      return address;
    }
  }
  return absl::InvalidArgumentError(
      absl::StrCat("'", text, "' must be host:port with a port in [0, ",
                   kMaxPort, "], an IPv6 host in brackets: [::1]:50051"));
}

absl::StatusOr<std::vector<int>> ListenOn(const ListenAddress& address,
                                          int backlog, int* port) {
  absl::StatusOr<AddressList> targets = Resolve(address, AI_PASSIVE);
  if (!targets.ok()) return targets.status();
  std::vector<TcpSocket> sockets;
  *port = address.port;
  for (addrinfo* target = targets->get(); target != nullptr;
       target = target->ai_next) {
    TcpSocket socket(*target);
    SetPort(target->ai_addr, *port);
    if (socket.fd() < 0 || !Listen(socket, *target, backlog)) {
      // A machine without IPv6 resolves "localhost" to ::1 all the same.
      if (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL) continue;
      return ListenError(address, errno);
    }
    // The addresses after the first take the port that the system chose for it.
    if (*port == 0) *port = socket.LocalPort();
    sockets.push_back(std::move(socket));
  }
  if (sockets.empty()) return ListenError(address, EADDRNOTAVAIL);
  std::vector<int> descriptors;
  for (TcpSocket& socket : sockets) descriptors.push_back(socket.Release());
  return descriptors;
}

absl::Status CheckCanListen(const ListenAddress& address) {
  int port;
  const absl::StatusOr<std::vector<int>> sockets = ListenOn(address, 1, &port);
  if (!sockets.ok()) return sockets.status();
  for (int socket : *sockets) close(socket);
  return absl::OkStatus();
}

bool IsLoopback(const ListenAddress& address) {
  if (absl::EqualsIgnoreCase(address.host, "localhost")) return true;
  in_addr v4;
  if (inet_pton(AF_INET, address.host.c_str(), &v4) == 1) {
    return ntohl(v4.s_addr) >> 24 == IN_LOOPBACKNET;
  }
  in6_addr v6;
  return inet_pton(AF_INET6, address.host.c_str(), &v6) == 1 &&
         IN6_IS_ADDR_LOOPBACK(&v6);
}

}  // namespace ddgan
