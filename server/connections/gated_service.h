// A gRPC service whose requests pass a RequestGate before they are received.
#ifndef DDGAN_SERVER_CONNECTIONS_GATED_SERVICE_H_
#define DDGAN_SERVER_CONNECTIONS_GATED_SERVICE_H_

#include <google/protobuf/descriptor.h>
#include <grpcpp/impl/service_type.h>

#include <cstdint>
#include <functional>
#include <list>
#include <set>
#include <string>

#include "server/connections/calls_in_flight.h"
#include "server/connections/peer_address.h"
#include "server/connections/request_gate.h"

namespace ddgan {

// Serves what another service serves, which does not notice. gRPC by itself
// receives the one message of a unary or server-streaming method before anybody
// is asked. Here each method is registered as one that reads a stream, which on
// the wire is the same thing, so that the message is read by us, when the gate
// says so. A request that cannot be received or parsed ends the call with the
// gate's status or InvalidArgument, a larger one than the service takes with
// ResourceExhausted; the service never sees it. Methods that read a stream are
// passed on as they are: they enter the gate and look at sizes themselves.
//
// It uses parts of gRPC that generated code uses, as they are in 1.51.
class GatedService final : public grpc::Service {
 public:
  // Of a request that nobody books, which is a few names and numbers. Looked at
  // on the wire, before it is parsed: in memory, fields that its type does not
  // have can be 30 times as large, and gRPC keeps it until its call ends.
  static constexpr int64_t kMaxSmallRequestBytes = 1 << 10;

  struct Options {
    RequestGate* gate = nullptr;
    // Where calls of the booking methods count from their beginning on, so that
    // a drain waits for requests that are still on their way.
    CallsInFlight* calls = nullptr;
    // Of one call, keys and values. gRPC 1.51 holds each frame of them to its
    // own limit, but not all of them together.
    int64_t max_metadata_bytes = 0;
    // Names of the methods that book what they keep of their requests. Only
    // gRPC's own limit holds for them.
    std::set<std::string> booking_methods = {};
    // A call has begun on the peer's connection, or its request has come in
    // whole. Thread-safe; returns quickly.
    std::function<void(const PeerEndpoint& peer)> on_progress;
  };

  // `service` is a ...::CallbackService of `descriptor`. It, gate and calls
  // must outlive the server that this one is registered with, as this one must,
  // and `service` is not registered itself. A call with more metadata ends with
  // ResourceExhausted.
  GatedService(grpc::Service* service,
               const google::protobuf::ServiceDescriptor& descriptor,
               Options options);

 private:
  const Options options_;
  std::list<std::string> paths_;  // gRPC keeps their addresses.
};

}  // namespace ddgan

#endif  // DDGAN_SERVER_CONNECTIONS_GATED_SERVICE_H_
