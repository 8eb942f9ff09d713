#include "server/connections/listener_probe.h"

#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "engine/base/monotonic_clock.h"
#include "engine/base/tcp_socket.h"

namespace ddgan {
namespace {

// HTTP/2 (RFC 9113): the client's preface and an empty SETTINGS frame.
constexpr char kHttp2Hello[] =
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";
constexpr size_t kHttp2HelloSize = sizeof(kHttp2Hello) - 1;
constexpr size_t kHttp2FrameHeaderSize = 9;
constexpr size_t kHttp2FrameTypeOffset = 3;
constexpr char kHttp2SettingsType = 4;

// Waits until `socket` has one of `events`.
absl::Status WaitFor(const TcpSocket& socket, short events,
                     absl::Time deadline) {
  while (true) {
    const absl::Duration left =
        std::max(deadline - RealMonotonicClock()->Now(), absl::ZeroDuration());
    pollfd entry = {socket.fd(), events, 0};
    const int ready = poll(&entry, 1,
                           static_cast<int>(absl::ToInt64Milliseconds(
                               absl::Ceil(left, absl::Milliseconds(1)))));
    if (ready > 0) return absl::OkStatus();
    if (ready == 0) return absl::DeadlineExceededError("no answer in time");
    if (errno != EINTR) return absl::InternalError(strerror(errno));
  }
}

absl::Status Connect(const TcpSocket& socket, const addrinfo& target,
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
absl::StatusOr<std::string> Exchange(const TcpSocket& socket,
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

absl::Status ExpectHttp2Settings(const TcpSocket& socket, absl::Time deadline) {
  const absl::StatusOr<std::string> header =
      Exchange(socket, std::string(kHttp2Hello, kHttp2HelloSize),
               kHttp2FrameHeaderSize, deadline);
  if (!header.ok()) return header.status();
  if ((*header)[kHttp2FrameTypeOffset] != kHttp2SettingsType) {
    return absl::UnavailableError("the answer is not HTTP/2");
  }
  return absl::OkStatus();
}

absl::Status ExpectServerHello(const TcpSocket& socket, absl::Time deadline) {
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
    absl::FunctionRef<absl::Status(const TcpSocket&, absl::Time)> expect) {
  const absl::Time deadline = RealMonotonicClock()->Now() + timeout;
  absl::StatusOr<AddressList> targets = Resolve(address, 0);
  if (!targets.ok()) return targets.status();
  absl::Status last_error = absl::UnavailableError("no address to try");
  for (const addrinfo* target = targets->get(); target != nullptr;
       target = target->ai_next) {
    const TcpSocket socket(*target);
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
    before_connecting(socket.LocalPort());
    last_error = Connect(socket, *target, deadline);
    if (last_error.ok()) last_error = expect(socket, deadline);
    if (last_error.ok()) return last_error;
  }
  return last_error;
}

}  // namespace

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
