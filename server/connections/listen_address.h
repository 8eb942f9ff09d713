// A TCP address that the server listens on: text to struct, whether it is free,
// and whether something answers there.
#ifndef DDGAN_SERVER_CONNECTIONS_LISTEN_ADDRESS_H_
#define DDGAN_SERVER_CONNECTIONS_LISTEN_ADDRESS_H_

#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace ddgan {

struct ListenAddress {
  // A name or a numeric address, IPv6 without its brackets.
  std::string host;
  // 0 lets the system choose.
  int port = 0;  // [0, 65535]

  friend bool operator==(const ListenAddress&, const ListenAddress&) = default;
};

// "host:port", an IPv6 host in brackets: "[::1]:50051".
std::string ToString(const ListenAddress& address);

// InvalidArgument unless `text` is as ToString writes it.
absl::StatusOr<ListenAddress> ParseListenAddress(absl::string_view text);

// Binds and lets go again. gRPC and cpp-httplib only say that they failed; this
// says why, in one sentence: FailedPrecondition if another process has the
// port, PermissionDenied, or InvalidArgument if the host is none of this
// machine's.
absl::Status CheckCanListen(const ListenAddress& address);

// Non-blocking sockets that listen on every address that the host has, all on
// one port, which `*port` becomes; the caller closes them. A connection that a
// former server left in TIME_WAIT is no obstacle. "::" is every address, those
// of IPv4 included. Errors as CheckCanListen's.
absl::StatusOr<std::vector<int>> ListenOn(const ListenAddress& address,
                                          int backlog, int* port);

// Whether only this machine reaches it: "localhost", 127.0.0.0/8 or ::1. Any
// other name is taken for one of the network; nothing is looked up.
bool IsLoopback(const ListenAddress& address);

// Opens a connection to a gRPC server without TLS and waits for its first
// HTTP/2 SETTINGS frame. A connection alone would prove nothing: the kernel
// completes it for a server that has stopped accepting.
// `before_connecting` gets the port that the connection comes from, once for
// each address that is tried.
// DeadlineExceeded after `timeout`, Unavailable if refused.
absl::Status ProbeGrpcListener(
    const ListenAddress& address, absl::Duration timeout,
    absl::FunctionRef<void(int source_port)> before_connecting);

// The same for a server with TLS: begins a handshake, waits for the server's
// part of it and leaves. It shows no certificate and looks at none.
absl::Status ProbeTlsListener(
    const ListenAddress& address, absl::Duration timeout,
    absl::FunctionRef<void(int source_port)> before_connecting);

}  // namespace ddgan

#endif  // DDGAN_SERVER_CONNECTIONS_LISTEN_ADDRESS_H_
