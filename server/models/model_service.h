// ddgan.v1.ModelService.
#ifndef DDGAN_SERVER_MODELS_MODEL_SERVICE_H_
#define DDGAN_SERVER_MODELS_MODEL_SERVICE_H_

#include <google/protobuf/message.h>
#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "ddgan/v1/model.grpc.pb.h"
#include "engine/api/engine.h"
#include "server/access/access_control.h"
#include "server/access/access_record.h"
#include "server/access/order_access.h"
#include "server/calls/logged_call.h"
#include "server/calls/worker_threads.h"
#include "server/connections/open_watches.h"
#include "server/connections/write_watch.h"
#include "server/models/watch_models_reactor.h"

namespace ddgan {

// Thread-safe.
class ModelService final : public v1::ModelService::CallbackService {
 public:
  // All must outlive the service.
  struct Parts {
    Engine* engine = nullptr;
    const WriteWatch::Parts* writes = nullptr;
    AccessRecorder* access_log = nullptr;
    AccessControl* access = nullptr;  // Null: calls need no token.
  };

  // `orders`: what this port does with PinVersion, UnpinVersion and RollBack.
  ModelService(const Parts& parts, OrderAccess orders)
      : engine_(parts.engine),
        writes_(parts.writes),
        access_log_(parts.access_log),
        access_(parts.access),
        orders_(orders) {}

  grpc::ServerUnaryReactor* ListModels(
      grpc::CallbackServerContext* context,
      const v1::ListModelsRequest* request,
      v1::ListModelsResponse* response) override;
  grpc::ServerUnaryReactor* GetModel(grpc::CallbackServerContext* context,
                                     const v1::GetModelRequest* request,
                                     v1::GetModelResponse* response) override;
  grpc::ServerUnaryReactor* PinVersion(
      grpc::CallbackServerContext* context,
      const v1::PinVersionRequest* request,
      v1::PinVersionResponse* response) override;
  grpc::ServerUnaryReactor* UnpinVersion(
      grpc::CallbackServerContext* context,
      const v1::UnpinVersionRequest* request,
      v1::UnpinVersionResponse* response) override;
  grpc::ServerUnaryReactor* RollBack(grpc::CallbackServerContext* context,
                                     const v1::RollBackRequest* request,
                                     v1::RollBackResponse* response) override;
  grpc::ServerWriteReactor<v1::WatchModelsResponse>* WatchModels(
      grpc::CallbackServerContext* context,
      const v1::WatchModelsRequest* request) override ABSL_LOCKS_EXCLUDED(mu_);

  // Ends every watch with UNAVAILABLE, also those that begin later: they have
  // no end of their own, for which a shutdown could wait.
  void EndWatches() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  LoggedCall Begin(grpc::CallbackServerContext* context, const char* method,
                   const std::string& model) const {
    return LoggedCall({.access_log = access_log_, .access = access_}, context,
                      method, model);
  }

  // Runs `control` on the control thread and ends the call with what it
  // returns, or refuses a call that this port does not take.
  grpc::ServerUnaryReactor* Control(LoggedCall call,
                                    const google::protobuf::Message& response,
                                    absl::AnyInvocable<absl::Status()> control);

  absl::Status GetModelNow(const std::string& name, v1::Model* out) const;
  // The version just after it was pinned.
  absl::Status GetPinned(const std::string& model, int64_t version,
                         v1::ModelVersion* out) const;

  Engine* const engine_;
  const WriteWatch::Parts* const writes_;
  AccessRecorder* const access_log_;
  AccessControl* const access_;
  const OrderAccess orders_;

  OpenWatches open_watches_;
  absl::Mutex mu_;
  // Those that are over are dropped when another begins.
  std::vector<std::weak_ptr<WatchModelsReactor>> watches_ ABSL_GUARDED_BY(mu_);
  bool watches_ended_ ABSL_GUARDED_BY(mu_) = false;

  // For pins, which the engine writes to the disk. One thread keeps them in
  // their order.
  WorkerThreads control_thread_{1};
};

}  // namespace ddgan

#endif  // DDGAN_SERVER_MODELS_MODEL_SERVICE_H_
