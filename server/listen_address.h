// A TCP address that the server listens on: text to struct, whether it is free,
// and whether something answers there.
#ifndef DDGAN_SERVER_LISTEN_ADDRESS_H_
#define DDGAN_SERVER_LISTEN_ADDRESS_H_

#include <string>

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

// Opens a connection to a gRPC server without TLS and waits for its first
// HTTP/2 SETTINGS frame. A connection alone would prove nothing: the kernel
// completes it for a server that has stopped accepting, as gRPC 1.51 does for
// ever after it once ran out of file descriptors (CVE-2023-4785).
// DeadlineExceeded after `timeout`, Unavailable if refused.
absl::Status ProbeGrpcListener(const ListenAddress& address,
                               absl::Duration timeout);

}  // namespace ddgan

#endif  // DDGAN_SERVER_LISTEN_ADDRESS_H_
