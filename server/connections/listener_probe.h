// Whether a gRPC server answers at an address.
#ifndef DDGAN_SERVER_CONNECTIONS_LISTENER_PROBE_H_
#define DDGAN_SERVER_CONNECTIONS_LISTENER_PROBE_H_

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "engine/base/listen_address.h"

namespace ddgan {

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

#endif  // DDGAN_SERVER_CONNECTIONS_LISTENER_PROBE_H_
