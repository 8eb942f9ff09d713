// grpc.health.v1 on one port. gRPC has one of its own; this one's requests can
// pass a RequestGate like all others.
#ifndef DDGAN_SERVER_TELEMETRY_HEALTH_SERVICE_H_
#define DDGAN_SERVER_TELEMETRY_HEALTH_SERVICE_H_

#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>

#include <map>
#include <set>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "server/connections/open_watches.h"

namespace ddgan {

// Thread-safe. Check of a name that was never set is NOT_FOUND, Watch of it
// SERVICE_UNKNOWN until it is.
//
// There are at most as many watches as OpenWatches has places; more get
// RESOURCE_EXHAUSTED. A change of a status looks at all of them; a status that
// is set again, at none.
class HealthService final : public grpc::health::v1::Health::CallbackService,
                            public grpc::HealthCheckServiceInterface {
 public:
  // The service and its watches end before the server that it is served by.
  HealthService() = default;

  grpc::ServerUnaryReactor* Check(
      grpc::CallbackServerContext* context,
      const grpc::health::v1::HealthCheckRequest* request,
      grpc::health::v1::HealthCheckResponse* response) override
      ABSL_LOCKS_EXCLUDED(mu_);
  grpc::ServerWriteReactor<grpc::health::v1::HealthCheckResponse>* Watch(
      grpc::CallbackServerContext* context,
      const grpc::health::v1::HealthCheckRequest* request) override
      ABSL_LOCKS_EXCLUDED(mu_);

  void SetServingStatus(const std::string& name, bool serving) override
      ABSL_LOCKS_EXCLUDED(mu_);
  // Of all names that were set.
  void SetServingStatus(bool serving) override ABSL_LOCKS_EXCLUDED(mu_);
  // NOT_SERVING for good. Watches end with UNAVAILABLE.
  void Shutdown() override ABSL_LOCKS_EXCLUDED(mu_);

 private:
  class Watcher;
  class RefusedWatch;
  using Status = grpc::health::v1::HealthCheckResponse::ServingStatus;

  Status StatusOf(const std::string& name) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void TellWatchers() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  OpenWatches open_watches_;
  absl::Mutex mu_;
  bool shut_down_ ABSL_GUARDED_BY(mu_) = false;
  std::map<std::string, bool> serving_ ABSL_GUARDED_BY(mu_);
  std::set<Watcher*> watchers_ ABSL_GUARDED_BY(mu_);  // Not done yet.
};

}  // namespace ddgan

#endif  // DDGAN_SERVER_TELEMETRY_HEALTH_SERVICE_H_
