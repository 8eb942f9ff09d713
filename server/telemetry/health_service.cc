#include "server/telemetry/health_service.h"

#include <optional>
#include <utility>

namespace ddgan {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

// One at a time of everything: gRPC is told under the service's lock, and calls
// back on threads of its own.
class HealthService::Watcher final
    : public grpc::ServerWriteReactor<HealthCheckResponse> {
 public:
  Watcher(HealthService* service, std::string name, OpenWatches::Place place)
      : service_(service), name_(std::move(name)), place_(std::move(place)) {}

  // Writes what the name is now, unless its reader knows; ends if it is to end.
  void Tell() {
    service_->mu_.AssertHeld();
    if (writing_ || ended_) return;
    if (cancelled_) {
      End(grpc::Status::CANCELLED);
      return;
    }
    if (service_->shut_down_) {
      End(grpc::Status(grpc::StatusCode::UNAVAILABLE,
                       "the server is shutting down"));
      return;
    }
    const Status status = service_->StatusOf(name_);
    if (told_ == status) return;
    told_ = status;
    writing_ = true;
    response_.set_status(status);
    StartWrite(&response_);
  }

  void OnWriteDone(bool ok) override {
    absl::MutexLock lock(&service_->mu_);
    writing_ = false;
    if (!ok) cancelled_ = true;
    Tell();
  }

  void OnCancel() override {
    absl::MutexLock lock(&service_->mu_);
    cancelled_ = true;  // It ends here, or with the write that is on its way.
    Tell();
  }

  void OnDone() override {
    {
      absl::MutexLock lock(&service_->mu_);
      service_->watchers_.erase(this);
    }
    delete this;
  }

 private:
  void End(const grpc::Status& status) {
    ended_ = true;
    Finish(status);
  }

  HealthService* const service_;
  const std::string name_;
  const OpenWatches::Place place_;
  // All guarded by the service's mutex; what is being written is gRPC's.
  bool writing_ = false;
  bool cancelled_ = false;
  bool ended_ = false;
  std::optional<Status> told_;
  HealthCheckResponse response_;
};

// A watch that there is no place for.
class HealthService::RefusedWatch final
    : public grpc::ServerWriteReactor<HealthCheckResponse> {
 public:
  RefusedWatch() {
    Finish(grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED,
                        std::string(OpenWatches::Refusal().message())));
  }
  void OnDone() override { delete this; }
};

grpc::ServerUnaryReactor* HealthService::Check(
    grpc::CallbackServerContext* context, const HealthCheckRequest* request,
    HealthCheckResponse* response) {
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  {
    absl::MutexLock lock(&mu_);
    response->set_status(StatusOf(request->service()));
  }
  reactor->Finish(response->status() == HealthCheckResponse::SERVICE_UNKNOWN
                      ? grpc::Status(grpc::StatusCode::NOT_FOUND,
                                     "service: no such service here")
                      : grpc::Status::OK);
  return reactor;
}

grpc::ServerWriteReactor<HealthCheckResponse>* HealthService::Watch(
    grpc::CallbackServerContext* context, const HealthCheckRequest* request) {
  std::optional<OpenWatches::Place> place =
      open_watches_.Enter(context->peer());
  if (!place.has_value()) return new RefusedWatch();
  auto* const watcher =
      new Watcher(this, request->service(), *std::move(place));
  absl::MutexLock lock(&mu_);
  watchers_.insert(watcher);
  watcher->Tell();
  return watcher;
}

void HealthService::SetServingStatus(const std::string& name, bool serving) {
  absl::MutexLock lock(&mu_);
  const auto [entry, is_new] = serving_.try_emplace(name, serving);
  // Most reports say what the one before them did.
  if (!is_new && std::exchange(entry->second, serving) == serving) return;
  TellWatchers();
}

void HealthService::SetServingStatus(bool serving) {
  absl::MutexLock lock(&mu_);
  bool changed = false;
  for (auto& [name, now] : serving_) {
    changed |= std::exchange(now, serving) != serving;
  }
  if (changed) TellWatchers();
}

void HealthService::Shutdown() {
  absl::MutexLock lock(&mu_);
  shut_down_ = true;
  TellWatchers();
}

HealthService::Status HealthService::StatusOf(const std::string& name) const {
  const auto found = serving_.find(name);
  if (found == serving_.end()) return HealthCheckResponse::SERVICE_UNKNOWN;
  return found->second && !shut_down_ ? HealthCheckResponse::SERVING
                                      : HealthCheckResponse::NOT_SERVING;
}

void HealthService::TellWatchers() {
  for (Watcher* watcher : watchers_) watcher->Tell();
}

}  // namespace ddgan
