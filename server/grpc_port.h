// A port on which gRPC is served: its connections, its gRPC server, and how
// both end.
#ifndef DDGAN_SERVER_GRPC_PORT_H_
#define DDGAN_SERVER_GRPC_PORT_H_

#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "engine/base/listen_address.h"
#include "server/access/listener_security.h"
#include "server/connections/calls_in_flight.h"
#include "server/connections/connection_acceptor.h"
#include "server/connections/connection_budget.h"
#include "server/connections/connection_observer.h"
#include "server/connections/deadline_timer.h"
#include "server/connections/gated_service.h"
#include "server/connections/grpc_limits.h"
#include "server/connections/request_gate.h"
#include "server/connections/write_watch.h"
#include "server/reflection_service.h"
#include "server/telemetry/health_service.h"

namespace ddgan {

// Open, Serve and what ends the port are called from one thread, in their
// order; the rest is thread-safe.
class GrpcPort {
 public:
  struct Options {
    ListenAddress address;
    // Those of `connections` are what this port takes.
    GrpcLimits limits;
    // Whether the connections are told to `metrics`.
    bool counts_connections = true;
  };

  // What all ports share; each must outlive the port.
  struct Parts {
    const ListenerSecurity* security = nullptr;
    ConnectionObserver* metrics = nullptr;
    DeadlineTimer* timer = nullptr;
    CallsInFlight* calls = nullptr;  // What a drain waits for.
  };

  // Listens; a connection waits until Serve. Errors as of CheckCanListen.
  static absl::StatusOr<std::unique_ptr<GrpcPort>> Open(const Options& options,
                                                        const Parts& parts);

  GrpcPort(const GrpcPort&) = delete;
  GrpcPort& operator=(const GrpcPort&) = delete;

  // After Shutdown, if it serves.
  ~GrpcPort() = default;

  // For the services' calls, which need it from their construction on.
  const WriteWatch::Parts* writes() const { return &writes_; }

  // A service of callbacks and its service_full_name(). The rest as in
  // GatedService::Options.
  struct NamedService {
    std::string name;
    grpc::Service* service = nullptr;
    std::set<std::string> booking_methods = {};
  };

  // Serves `services`, which must outlive the port, health and reflection.
  // Once. Internal if gRPC does not start.
  absl::Status Serve(std::vector<NamedService> services);

  // The port that is listened on, also where port 0 was asked for.
  int port() const { return acceptor_->port(); }
  // Lives as long as the port.
  grpc::HealthCheckServiceInterface* health() { return &health_; }
  // Whether the port answers, as ConnectionAcceptor::Probe says.
  absl::Status Probe(absl::Duration timeout) const {
    return acceptor_->Probe(timeout);
  }

  // Nobody new can connect from now on.
  void StopAccepting() { acceptor_->StopAccepting(); }
  // After StopAccepting: tells the connections to go away, which close with
  // their last call.
  void SendGoaways();
  // After SendGoaways: blocks until the connections are gone, or only those are
  // left that no call can be expected on, or `deadline` of RealMonotonicClock
  // has passed.
  void AwaitDrained(absl::Time deadline);
  // Cuts every connection.
  void CutAll() { acceptor_->CutAll(); }
  // Blocks until no call is left. Calls that last longer than `limit` are
  // cancelled.
  void Shutdown(absl::Duration limit);

 private:
  GrpcPort(const Options& options, const Parts& parts,
           std::unique_ptr<ConnectionAcceptor> acceptor);

  // Constant after construction.
  const Options options_;
  const ListenerSecurity* const security_;
  CallsInFlight* const calls_;
  const std::unique_ptr<ConnectionAcceptor> acceptor_;
  const WriteWatch::Parts writes_;

  RequestGate gate_;
  HealthService health_;
  ReflectionSource reflection_source_;
  ReflectionV1Service reflection_v1_{&reflection_source_};
  ReflectionV1AlphaService reflection_v1alpha_{&reflection_source_};
  std::vector<std::unique_ptr<GatedService>> gated_;

  std::unique_ptr<grpc::Server> server_;  // Null until it serves.
  absl::Time told_;                       // When SendGoaways was called first.
};

}  // namespace ddgan

#endif  // DDGAN_SERVER_GRPC_PORT_H_
