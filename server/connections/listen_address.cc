#include "server/connections/listen_address.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace ddgan {
namespace {

constexpr int kMaxPort = 65535;

// HTTP/2 (RFC 9113): the client's preface and an empty SETTINGS frame.
constexpr char kHttp2Hello[] =
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";
constexpr size_t kHttp2HelloSize = sizeof(kHttp2Hello) - 1;
constexpr size_t kHttp2FrameHeaderSize = 9;
constexpr size_t kHttp2FrameTypeOffset = 3;
constexpr char kHttp2SettingsType = 4;

class Socket {
 public:
  explicit Socket(int fd) : fd_(fd) {}
  Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  ~Socket() {
    if (fd_ >= 0) close(fd_);
  }
  int fd() const { return fd_; }
  int Release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

using AddressList = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

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

int LocalPort(const Socket& socket) {
  sockaddr_storage address = {};
  socklen_t size = sizeof(address);
  getsockname(socket.fd(), reinterpret_cast<sockaddr*>(&address), &size);
  // Both kinds of address have it in the same place.
  return ntohs(reinterpret_cast<const sockaddr_in*>(&address)->sin_port);
}

// False with errno set.
bool Listen(const Socket& socket, const addrinfo& target, int backlog) {
  const int yes = 1;
  const int no = 0;
  setsockopt(socket.fd(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  if (target.ai_family == AF_INET6) {
    setsockopt(socket.fd(), IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof(no));
  }
  return bind(socket.fd(), target.ai_addr, target.ai_addrlen) == 0 &&
         listen(socket.fd(), backlog) == 0;
}

// Waits until `socket` has one of `events`.
absl::Status WaitFor(const Socket& socket, short events, absl::Time deadline) {
  while (true) {
    const absl::Duration left =
        std::max(deadline - absl::Now(), absl::ZeroDuration());
    pollfd entry = {socket.fd(), events, 0};
    const int ready = poll(&entry, 1,
                           static_cast<int>(absl::ToInt64Milliseconds(
                               absl::Ceil(left, absl::Milliseconds(1)))));
    if (ready > 0) return absl::OkStatus();
    if (ready == 0) return absl::DeadlineExceededError("no answer in time");
    if (errno != EINTR) return absl::InternalError(strerror(errno));
  }
}

absl::Status Connect(const Socket& socket, const addrinfo& target,
                     absl::Time deadline) {
  if (connect(socket.fd(), target.ai_addr, target.ai_addrlen) == 0) {
    return absl::OkStatus();
  }
  if (errno != EINPROGRESS) return absl::UnavailableError(strerror(errno));
  if (absl::Status status = WaitFor(socket, POLLOUT, deadline); !status.ok()) {
    return status;
  }
  int error = 0;
  socklen_t size = sizeof(error);
  getsockopt(socket.fd(), SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) return absl::UnavailableError(strerror(error));
  return absl::OkStatus();
}

// Sends `hello`, which a fresh socket's send buffer takes whole, and waits for
// `size` bytes.
absl::StatusOr<std::string> Exchange(const Socket& socket,
                                     const std::string& hello, size_t size,
                                     absl::Time deadline) {
  if (send(socket.fd(), hello.data(), hello.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(hello.size())) {
    return absl::UnavailableError(strerror(errno));
  }
  std::string answer(size, '\0');
  size_t received = 0;
  while (received < size) {
    if (absl::Status status = WaitFor(socket, POLLIN, deadline); !status.ok()) {
      return status;
    }
    const ssize_t count =
        recv(socket.fd(), &answer[received], size - received, MSG_DONTWAIT);
    if (count == 0) return absl::UnavailableError("connection closed");
    if (count < 0 && errno != EAGAIN && errno != EINTR) {
      return absl::UnavailableError(strerror(errno));
    }
    if (count > 0) received += count;
  }
  return answer;
}

absl::Status ExpectHttp2Settings(const Socket& socket, absl::Time deadline) {
  const absl::StatusOr<std::string> header =
      Exchange(socket, std::string(kHttp2Hello, kHttp2HelloSize),
               kHttp2FrameHeaderSize, deadline);
  if (!header.ok()) return header.status();
  if ((*header)[kHttp2FrameTypeOffset] != kHttp2SettingsType) {
    return absl::UnavailableError("the answer is not HTTP/2");
  }
  return absl::OkStatus();
}

absl::Status ExpectServerHello(const Socket& socket, absl::Time deadline) {
  const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context(
      SSL_CTX_new(TLS_client_method()), &SSL_CTX_free);
  const std::unique_ptr<SSL, decltype(&SSL_free)> tls(
      context == nullptr ? nullptr : SSL_new(context.get()), &SSL_free);
  BIO* const sent = BIO_new(BIO_s_mem());
  BIO* const received = BIO_new(BIO_s_mem());
  if (tls == nullptr || sent == nullptr || received == nullptr) {
    BIO_free(sent);
    BIO_free(received);
    return absl::ResourceExhaustedError("no memory for a TLS handshake");
  }
  SSL_set_bio(tls.get(), received, sent);  // Which owns both from now on.
  SSL_set_connect_state(tls.get());
  SSL_do_handshake(tls.get());  // As far as it gets without an answer.
  char* hello = nullptr;
  const long size = BIO_get_mem_data(sent, &hello);
  const absl::StatusOr<std::string> answer = Exchange(
      socket, std::string(hello, static_cast<size_t>(size)), 1, deadline);
  if (!answer.ok()) return answer.status();
  if ((*answer)[0] != SSL3_RT_HANDSHAKE) {
    return absl::UnavailableError("the answer is no TLS handshake");
  }
  return absl::OkStatus();
}

// `expect` says whether who accepts the connection is alive.
absl::Status Probe(
    const ListenAddress& address, absl::Duration timeout,
    absl::FunctionRef<void(int source_port)> before_connecting,
    absl::FunctionRef<absl::Status(const Socket&, absl::Time)> expect) {
  const absl::Time deadline = absl::Now() + timeout;
  absl::StatusOr<AddressList> targets = Resolve(address, 0);
  if (!targets.ok()) return targets.status();
  absl::Status last_error = absl::UnavailableError("no address to try");
  for (const addrinfo* target = targets->get(); target != nullptr;
       target = target->ai_next) {
    const Socket socket(::socket(
        target->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (socket.fd() < 0) {
      last_error = absl::ResourceExhaustedError(strerror(errno));
      continue;
    }
    // Bound first, so that the port is known before the server sees it.
    sockaddr_storage any = {};
    any.ss_family = static_cast<sa_family_t>(target->ai_family);
    if (bind(socket.fd(), reinterpret_cast<sockaddr*>(&any),
             target->ai_addrlen) != 0) {
      last_error = absl::UnavailableError(strerror(errno));
      continue;
    }
    before_connecting(LocalPort(socket));
    last_error = Connect(socket, *target, deadline);
    if (last_error.ok()) last_error = expect(socket, deadline);
    if (last_error.ok()) return last_error;
  }
  return last_error;
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
  if (colon == absl::string_view::npos || colon == 0 ||
      !absl::SimpleAtoi(text.substr(colon + 1), &address.port) ||
      address.port < 0 || address.port > kMaxPort) {
    return absl::InvalidArgumentError(absl::StrCat(
        "'", text, "' is not host:port with a port in [0, ", kMaxPort, "]"));
  }
  absl::string_view host = text.substr(0, colon);
  const bool bracketed =
      host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  if (!bracketed && host.find(':') != absl::string_view::npos) {
    return absl::InvalidArgumentError(absl::StrCat(
        "'", text, "': write an IPv6 host in brackets, as in [::1]:50051"));
  }
  address.host = std::string(host);
  return address;
}

absl::StatusOr<std::vector<int>> ListenOn(const ListenAddress& address,
                                          int backlog, int* port) {
  absl::StatusOr<AddressList> targets = Resolve(address, AI_PASSIVE);
  if (!targets.ok()) return targets.status();
  std::vector<Socket> sockets;
  *port = address.port;
  for (addrinfo* target = targets->get(); target != nullptr;
       target = target->ai_next) {
    Socket socket(::socket(target->ai_family,
                           SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    SetPort(target->ai_addr, *port);
    if (socket.fd() < 0 || !Listen(socket, *target, backlog)) {
      // A machine without IPv6 resolves "localhost" to ::1 all the same.
      if (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL) continue;
      return ListenError(address, errno);
    }
    // The addresses after the first take the port that the system chose for it.
    if (*port == 0) *port = LocalPort(socket);
    sockets.push_back(std::move(socket));
  }
  if (sockets.empty()) return ListenError(address, EADDRNOTAVAIL);
  std::vector<int> descriptors;
  for (Socket& socket : sockets) descriptors.push_back(socket.Release());
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

absl::Status ProbeGrpcListener(
    const ListenAddress& address, absl::Duration timeout,
    absl::FunctionRef<void(int source_port)> before_connecting) {
  return Probe(address, timeout, before_connecting, ExpectHttp2Settings);
}

absl::Status ProbeTlsListener(
    const ListenAddress& address, absl::Duration timeout,
    absl::FunctionRef<void(int source_port)> before_connecting) {
  return Probe(address, timeout, before_connecting, ExpectServerHello);
}

}  // namespace ddgan
