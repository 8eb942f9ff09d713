// What one caller, and all of them together, may take of a gRPC server. Each is
// a flag; server/OPERATING.md says what happens at each limit.
#ifndef DDGAN_SERVER_CONNECTIONS_GRPC_LIMITS_H_
#define DDGAN_SERVER_CONNECTIONS_GRPC_LIMITS_H_

#include <cstdint>

#include "absl/time/time.h"
#include "server/connections/byte_ledger.h"
#include "server/connections/connection_budget.h"
#include "server/connections/receive_watch.h"
#include "server/connections/request_gate.h"

namespace grpc {
class ServerBuilder;
}

namespace ddgan {

struct GrpcLimits {
  // A request is a few numbers and names, 64 KiB of room for them, and a guide
  // of at most 1 MiB, which is what the flag's range ends with.
  static constexpr int64_t kLargestRequestBytes = (1 << 20) + (64 << 10);

  // Messages that come in. [1 KiB, kLargestRequestBytes]
  int64_t max_request_bytes = kLargestRequestBytes;
  // Headers of one call. [1 KiB, 1 MiB]
  int64_t max_metadata_bytes = 16 << 10;
  // Calls of one connection at a time. [1, 100000]
  int max_streams_per_connection = 256;
  // What the connections' incoming data may take, requests that are half sent
  // among them. At least 16 MiB.
  int64_t max_receive_bytes = int64_t{512} << 20;

  // Requests that are half sent.
  RequestGate::Limits requests;

  // [1, 1000000]
  ConnectionBudget::Limits connections = {.total = 4096, .per_peer = 1024};
  // From the first byte, TLS included, to HTTP/2's first frame. [100 ms, 10
  // min]
  absl::Duration handshake_timeout = absl::Seconds(10);
  // A connection that was silent for so long is asked for a sign of life, and
  // closed if there is none in time. Each [100 ms, 1 h]
  absl::Duration keepalive_time = absl::Minutes(1);
  absl::Duration keepalive_timeout = absl::Seconds(20);
  // Clients that ping more often are sent away. [0 s, 1 h]
  absl::Duration min_ping_interval = absl::Seconds(5);
  // A connection without calls is closed after this. [100 ms, 500 h]
  absl::Duration max_connection_idle = absl::Minutes(15);
  // A connection gets no more calls after this, give or take 10%, and those
  // that it has may take so much longer. Each [100 ms, 500 h]
  absl::Duration max_connection_age = absl::Hours(2);
  absl::Duration max_connection_age_grace = absl::Minutes(10);

  // What the caller has to take of a reply, or of one message of a stream, all
  // of it, in this time. [100 ms, 1 h]
  absl::Duration write_timeout = absl::Minutes(1);
  // Requests that are being answered, and their replies. At least 1 MiB.
  ByteLedger::Limits replies = {.total = int64_t{1} << 30,
                                .per_caller = int64_t{256} << 20};
};

// What connections may send of which nothing has come yet: as much as requests
// that are half sent hold by `limits.requests`, which have a window of 64 KiB
// each while they wait, and room for what keeps a connection alive.
ReceiveWatch::Limits ReceiveLimits(const GrpcLimits& limits);

// Sets all of them that gRPC itself enforces. Compressed requests are refused
// (UNIMPLEMENTED) before they are unpacked: gRPC would look at their size only
// afterwards. Replies say grpc-accept-encoding: identity.
void ApplyTo(const GrpcLimits& limits, grpc::ServerBuilder* builder);

}  // namespace ddgan

#endif  // DDGAN_SERVER_CONNECTIONS_GRPC_LIMITS_H_
