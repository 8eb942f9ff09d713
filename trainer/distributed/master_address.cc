#include "trainer/distributed/master_address.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"

namespace ddgan {
namespace {

using SteadyTime = std::chrono::steady_clock::time_point;

// Between two attempts to connect: a process that starts is not kept waiting,
// and hundreds that wait are no load.
constexpr int kRetryMilliseconds = 100;

struct FreeAddresses {
  void operator()(addrinfo* list) const { freeaddrinfo(list); }
};
using Addresses = std::unique_ptr<addrinfo, FreeAddresses>;

// Null with `error` set if there are none.
Addresses Resolve(const std::string& host, int port, int socket_type,
                  std::string* error) {
  addrinfo hints = {};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = socket_type;
  addrinfo* list = nullptr;
  const int code =
      getaddrinfo(host.c_str(), absl::StrCat(port).c_str(), &hints, &list);
  if (code == 0) return Addresses(list);
  *error = gai_strerror(code);
  return nullptr;
}

bool IsLoopback(const sockaddr* address) {
  if (address->sa_family == AF_INET) {
    const auto* ipv4 = reinterpret_cast<const sockaddr_in*>(address);
    return ntohl(ipv4->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
  }
  if (address->sa_family == AF_INET6) {
    const auto* ipv6 = reinterpret_cast<const sockaddr_in6*>(address);
    return IN6_IS_ADDR_LOOPBACK(&ipv6->sin6_addr);
  }
  return false;
}

int MillisecondsUntil(SteadyTime deadline) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
      deadline - std::chrono::steady_clock::now());
  return static_cast<int>(std::clamp<int64_t>(left.count(), 0, 1 << 30));
}

// 0, or the errno of why no connection came about.
int Connect(const addrinfo& address, SteadyTime deadline) {
  const int fd = socket(address.ai_family,
                        address.ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno;
  const absl::Cleanup close_fd = [fd] { close(fd); };
  if (connect(fd, address.ai_addr, address.ai_addrlen) == 0) return 0;
  if (errno != EINPROGRESS) return errno;
  pollfd writable = {fd, POLLOUT, 0};
  const int ready = poll(&writable, 1, MillisecondsUntil(deadline));
  if (ready < 0) return errno;
  if (ready == 0) return ETIMEDOUT;
  int error = 0;
  socklen_t size = sizeof(error);
  if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) return errno;
  return error;
}

}  // namespace

MasterAddress::MasterAddress(std::string host, int port)
    : host_(std::move(host)), port_(port) {}

std::string MasterAddress::ToString() const {
  return absl::StrCat("MASTER_ADDR=", host_, " MASTER_PORT=", port_);
}

absl::StatusOr<std::optional<int>> MasterAddress::BindLoopback() const {
  std::string unknown;
  const Addresses addresses = Resolve(host_, port_, SOCK_STREAM, &unknown);
  if (addresses == nullptr || !IsLoopback(addresses->ai_addr)) {
    return std::optional<int>();
  }
  const int fd =
      socket(addresses->ai_family, addresses->ai_socktype | SOCK_CLOEXEC, 0);
  const int on = 1;
  if (fd < 0 ||
      setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
      bind(fd, addresses->ai_addr, addresses->ai_addrlen) != 0) {
    const int error = errno;
    if (fd >= 0) close(fd);
    return absl::UnavailableError(
        absl::StrCat("process group: rank 0 cannot listen at ", ToString(),
                     ": ", std::strerror(error)));
  }
  return std::optional<int>(fd);
}

absl::Status MasterAddress::AwaitListener(absl::Duration timeout) const {
  const SteadyTime deadline =
      std::chrono::steady_clock::now() + absl::ToChronoMilliseconds(timeout);
  std::string error;
  do {
    const Addresses addresses = Resolve(host_, port_, SOCK_STREAM, &error);
    for (const addrinfo* entry = addresses.get(); entry != nullptr;
         entry = entry->ai_next) {
      const int code = Connect(*entry, deadline);
      if (code == 0) return absl::OkStatus();
      error = std::strerror(code);
    }
    poll(nullptr, 0, std::min(kRetryMilliseconds, MillisecondsUntil(deadline)));
  } while (MillisecondsUntil(deadline) > 0);
  return absl::DeadlineExceededError(
      absl::StrCat("nobody listened at ", ToString(), " for ",
                   absl::FormatDuration(timeout), ": ", error));
}

absl::StatusOr<std::string> MasterAddress::LocalInterface() const {
  std::string error;
  const Addresses addresses = Resolve(host_, port_, SOCK_DGRAM, &error);
  for (const addrinfo* entry = addresses.get(); entry != nullptr;
       entry = entry->ai_next) {
    const int fd =
        socket(entry->ai_family, entry->ai_socktype | SOCK_CLOEXEC, 0);
    if (fd < 0) {
      error = std::strerror(errno);
      continue;
    }
    const absl::Cleanup close_fd = [fd] { close(fd); };
    sockaddr_storage local = {};
    socklen_t size = sizeof(local);
    // A UDP socket that is "connected" sends nothing, but has been routed.
    if (connect(fd, entry->ai_addr, entry->ai_addrlen) != 0 ||
        getsockname(fd, reinterpret_cast<sockaddr*>(&local), &size) != 0) {
      error = std::strerror(errno);
      continue;
    }
    char name[NI_MAXHOST];
    const int code =
        getnameinfo(reinterpret_cast<sockaddr*>(&local), size, name,
                    sizeof(name), nullptr, 0, NI_NUMERICHOST);
    if (code == 0) return std::string(name);
    error = gai_strerror(code);
  }
  return absl::UnavailableError(absl::StrCat(
      "process group: no way from this machine to MASTER_ADDR=", host_, ": ",
      error));
}

}  // namespace ddgan
