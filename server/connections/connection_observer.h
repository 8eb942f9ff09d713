// What connections announce; telemetry turns it into metrics.
#ifndef DDGAN_SERVER_CONNECTIONS_CONNECTION_OBSERVER_H_
#define DDGAN_SERVER_CONNECTIONS_CONNECTION_OBSERVER_H_

#include "server/connections/connection_budget.h"

namespace ddgan {

// What was ended because its peer took nothing (write_watch.h).
enum class WriteTimeout { kCall, kConnection };

// Why a request that had begun was not received (request_gate.h,
// receive_watch.h).
enum class RequestLoss {
  kNoRoom,   // Too many have begun.
  kTimeout,  // It did not come in whole in time.
  // Its connection has sent too much of which nothing came, or on and on as it
  // was handed over.
  kTooMuch,
};

// Thread-safe; methods return quickly. Whoever does not care for an event
// leaves its method alone.
class ConnectionObserver {
 public:
  virtual ~ConnectionObserver() = default;

  // How many connections to the gRPC port are open now.
  virtual void OnConnections(int /*open*/) {}
  // One that was closed as soon as it came in.
  virtual void OnConnectionRefused(ConnectionRefusal /*reason*/) {}
  virtual void OnWriteTimeout(WriteTimeout /*what*/) {}
  virtual void OnRequestNotReceived(RequestLoss /*reason*/) {}
};

}  // namespace ddgan

#endif  // DDGAN_SERVER_CONNECTIONS_CONNECTION_OBSERVER_H_
