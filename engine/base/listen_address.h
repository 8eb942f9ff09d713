// A TCP address that a process listens on: text to struct, whether it is free,
// and the sockets.
#ifndef DDGAN_ENGINE_BASE_LISTEN_ADDRESS_H_
#define DDGAN_ENGINE_BASE_LISTEN_ADDRESS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

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

// InvalidArgument, with a sentence that begins with `text`, unless it is as
// ToString writes it.
absl::StatusOr<ListenAddress> ParseListenAddress(absl::string_view text);

// Binds and lets go again. gRPC only says that it failed; this says
// why, in one sentence: FailedPrecondition if another process has the
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

}  // namespace ddgan

#endif  // DDGAN_ENGINE_BASE_LISTEN_ADDRESS_H_
