// The whole server in one process: engine, gRPC, health, metrics. Builds the
// parts in order, and takes them down in reverse.
#ifndef DDGAN_SERVER_SERVER_H_
#define DDGAN_SERVER_SERVER_H_

#include <functional>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "engine/api/engine.h"
#include "engine/base/clock.h"
#include "engine/base/monotonic_clock.h"
#include "server/access/listener_security.h"
#include "server/calls/call_statistics.h"
#include "server/calls/encode_pool.h"
#include "server/calls/guide_decoder.h"
#include "server/calls/image_cache.h"
#include "server/calls/image_service.h"
#include "server/connections/byte_ledger.h"
#include "server/connections/calls_in_flight.h"
#include "server/connections/deadline_timer.h"
#include "server/grpc_port.h"
#include "server/kserve/inference_service.h"
#include "server/models/model_service.h"
#include "server/server_options.h"
#include "server/telemetry/access_log.h"
#include "server/telemetry/health_reporter.h"
#include "server/telemetry/logging_observer.h"
#include "server/telemetry/metrics_endpoint.h"
#include "server/telemetry/telemetry.h"

namespace ddgan {

// Start and Stop are called from one thread; the rest is thread-safe.
class Server {
 public:
  // CreateEngine of engine/api/engine.h; tests pass their own.
  using EngineFactory = std::function<absl::StatusOr<std::unique_ptr<Engine>>(
      const EngineOptions&, EngineObserver*, Clock*)>;

  // Blocks until requests are served. The HTTP port answers first: while models
  // load, /livez is ok and /readyz is not. If no model is sound the server
  // starts all the same, and is ready once one is.
  //   FailedPrecondition  a port is in use
  //   otherwise           as CreateEngine, CheckCanListen, ListenerSecurity,
  //                       TraceExport; or the port file could not be written
  static absl::StatusOr<std::unique_ptr<Server>> Start(
      const ServerOptions& options, const EngineFactory& create_engine);

  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Stops with no time for work in flight, unless stopped before.
  ~Server();

  // How long a Stop with the same arguments may take until the watchdog ends
  // the process.
  static absl::Duration LongestStop(absl::Duration drain_timeout,
                                    absl::Duration drain_delay);

  // Drains. Not ready from now on, but calls are served as before for
  // `drain_delay`. Then nobody new can connect, watches end, connections are
  // told to go away and close with their last call; a call that comes before
  // its sender has heard is served. What is not done within `drain_timeout`
  // fails with UNAVAILABLE. Blocks until the ports are closed. Should it hang,
  // a watchdog ends the process with exit code 1.
  void Stop(absl::Duration drain_timeout,
            absl::Duration drain_delay = absl::ZeroDuration());

  // The ports that are listened on, also where the options asked for port 0.
  int grpc_port() const { return grpc_port_; }
  int http_port() const { return http_port_; }
  int admin_port() const { return admin_port_; }  // 0 if there is none.

 private:
  enum class Phase { kLoading, kServing, kStopping };

  explicit Server(const ServerOptions& options);

  absl::Status StartEndpoint() ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status StartGrpc();
  absl::Status StartAdmin();
  absl::StatusOr<std::unique_ptr<GrpcPort>> OpenPort(
      const GrpcPort::Options& options);
  // For `port`, of which it must not outlive the calls.
  std::unique_ptr<ModelService> MakeModelService(const GrpcPort& port,
                                                 OrderAccess orders);
  void SetPhase(Phase phase) ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status Live() const ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status Ready() const ABSL_LOCKS_EXCLUDED(mu_);

  const ServerOptions options_;

  mutable absl::Mutex mu_;
  Phase phase_ ABSL_GUARDED_BY(mu_) = Phase::kLoading;

  // In the order in which they are built. Written by Start only, and read by
  // the HTTP threads only once the phase says that they exist.
  LoggingObserver<Telemetry> metrics_;
  std::unique_ptr<ListenerSecurity> security_;
  std::unique_ptr<AccessLog> access_log_;
  CallsInFlight calls_{RealMonotonicClock()};
  std::unique_ptr<MetricsEndpoint> endpoint_;
  int http_port_ = 0;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<ImageCache> image_cache_;  // Null: no image is kept.
  std::unique_ptr<EncodePool> encode_pool_;
  std::unique_ptr<GuideDecoder> guide_decoder_;
  ByteLedger ledger_;
  std::unique_ptr<DeadlineTimer> write_timer_;
  CallStatistics statistics_;
  std::unique_ptr<ImageService> image_service_;
  std::unique_ptr<InferenceService> inference_service_;
  std::unique_ptr<ModelService> model_service_;
  std::unique_ptr<GrpcPort> grpc_;  // Null unless it serves.
  int grpc_port_ = 0;
  std::unique_ptr<ModelService> admin_model_service_;
  std::unique_ptr<GrpcPort> admin_;  // The same; there need not be one.
  int admin_port_ = 0;
  std::unique_ptr<HealthReporter> health_;
};

}  // namespace ddgan

#endif  // DDGAN_SERVER_SERVER_H_
