#include "server/connections/grpc_limits.h"

#include <grpc/compression.h>
#include <grpc/grpc.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/server_builder.h>

#include <cstddef>

namespace ddgan {
namespace {

int Milliseconds(absl::Duration duration) {
  return static_cast<int>(absl::ToInt64Milliseconds(duration));
}

// What HTTP/2 lets a peer send of a request before it is the request's turn
// (request_gate.h). It is also what the protocol begins with, so that a peer
// that never acknowledges our settings gets no more.
constexpr int kWindowBytes = 65535;

// Pings, windows of replies that are read, and the like, of one peer.
constexpr int64_t kUpkeepBytes = 16 << 20;

}  // namespace

ReceiveWatch::Limits ReceiveLimits(const GrpcLimits& limits) {
  const int64_t half_sent =
      limits.requests.arriving *
      (limits.max_request_bytes +
       int64_t{RequestGate::kWaitingPerArriving} * (kWindowBytes + 1));
  return {.total = half_sent + 4 * kUpkeepBytes,
          .per_peer = half_sent / 2 + kUpkeepBytes};
}

void ApplyTo(const GrpcLimits& limits, grpc::ServerBuilder* builder) {
  builder->SetMaxReceiveMessageSize(static_cast<int>(limits.max_request_bytes));
  for (const grpc_compression_algorithm algorithm :
       {GRPC_COMPRESS_DEFLATE, GRPC_COMPRESS_GZIP}) {
    builder->SetCompressionAlgorithmSupportStatus(algorithm, false);
  }
  builder->AddChannelArgument(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES,
                              kWindowBytes);
  // It would widen the window as it measures the line.
  builder->AddChannelArgument(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  builder->AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE,
                              static_cast<int>(limits.max_metadata_bytes));
  builder->AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS,
                              limits.max_streams_per_connection);
  grpc::ResourceQuota quota("ddgan-server");
  quota.Resize(static_cast<size_t>(limits.max_receive_bytes));
  builder->SetResourceQuota(quota);

  builder->AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS,
                              Milliseconds(limits.handshake_timeout));
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS,
                              Milliseconds(limits.keepalive_time));
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS,
                              Milliseconds(limits.keepalive_timeout));
  // Both ways: the server also asks connections that have no call, and lets
  // clients do so. Otherwise it stops after two pings without data, and takes
  // more than one in two hours from a client without a call for an attack.
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder->AddChannelArgument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  builder->AddChannelArgument(
      GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
      Milliseconds(limits.min_ping_interval));
  builder->AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS,
                              Milliseconds(limits.max_connection_idle));
  builder->AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_MS,
                              Milliseconds(limits.max_connection_age));
  builder->AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_GRACE_MS,
                              Milliseconds(limits.max_connection_age_grace));
}

}  // namespace ddgan
