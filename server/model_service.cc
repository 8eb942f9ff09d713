#include "server/model_service.h"

#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/grpc_status.h"
#include "server/request_conversion.h"

namespace ddgan {
namespace {

absl::Status ShuttingDown() {
  return absl::UnavailableError("the server is shutting down");
}

}  // namespace

grpc::ServerUnaryReactor* ModelService::ListModels(
    grpc::CallbackServerContext* context,
    const v1::ListModelsRequest* /*request*/,
    v1::ListModelsResponse* response) {
  *response = ConvertModelList(engine_->ListModels());
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(grpc::Status::OK);
  return reactor;
}

grpc::ServerUnaryReactor* ModelService::GetModel(
    grpc::CallbackServerContext* context, const v1::GetModelRequest* request,
    v1::GetModelResponse* response) {
  absl::Status status = CheckModelName(request->model());
  if (status.ok()) {
    status = GetModelNow(request->model(), response->mutable_model());
  }
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(ToGrpcStatus(status, context));
  return reactor;
}

grpc::ServerUnaryReactor* ModelService::PinVersion(
    grpc::CallbackServerContext* context, const v1::PinVersionRequest* request,
    v1::PinVersionResponse* response) {
  return Control(context, [this, request, response] {
    absl::Status status = CheckModelName(request->model());
    status.Update(CheckVersion(request->version()));
    if (!status.ok()) return status;
    status = engine_->Pin(request->model(), request->version());
    if (!status.ok()) return status;
    return GetPinned(request->model(), request->version(),
                     response->mutable_version());
  });
}

grpc::ServerUnaryReactor* ModelService::UnpinVersion(
    grpc::CallbackServerContext* context,
    const v1::UnpinVersionRequest* request,
    v1::UnpinVersionResponse* response) {
  return Control(context, [this, request, response] {
    absl::Status status = CheckModelName(request->model());
    if (!status.ok()) return status;
    status = engine_->Unpin(request->model());
    if (!status.ok()) return status;
    return GetModelNow(request->model(), response->mutable_model());
  });
}

grpc::ServerUnaryReactor* ModelService::RollBack(
    grpc::CallbackServerContext* context, const v1::RollBackRequest* request,
    v1::RollBackResponse* response) {
  return Control(context, [this, request, response]() -> absl::Status {
    if (absl::Status status = CheckModelName(request->model()); !status.ok()) {
      return status;
    }
    const absl::StatusOr<int64_t> version = engine_->RollBack(request->model());
    if (!version.ok()) return version.status();
    return GetPinned(request->model(), *version, response->mutable_version());
  });
}

grpc::ServerWriteReactor<v1::WatchModelsResponse>* ModelService::WatchModels(
    grpc::CallbackServerContext* context,
    const v1::WatchModelsRequest* /*request*/) {
  const std::shared_ptr<WatchModelsReactor> reactor =
      WatchModelsReactor::Create(engine_, *writes_, context);
  bool ended;
  {
    absl::MutexLock lock(&mu_);
    ended = watches_ended_;
    std::erase_if(watches_, [](const auto& watch) { return watch.expired(); });
    watches_.push_back(reactor);
  }
  if (ended) reactor->End(ShuttingDown());
  reactor->Start();
  return reactor.get();
}

void ModelService::EndWatches() {
  std::vector<std::weak_ptr<WatchModelsReactor>> watches;
  {
    absl::MutexLock lock(&mu_);
    watches_ended_ = true;
    watches.swap(watches_);
  }
  for (const std::weak_ptr<WatchModelsReactor>& watch : watches) {
    if (const auto reactor = watch.lock()) reactor->End(ShuttingDown());
  }
}

grpc::ServerUnaryReactor* ModelService::Control(
    grpc::CallbackServerContext* context,
    absl::AnyInvocable<absl::Status()> control) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  control_thread_.Run(
      [context, reactor, control = std::move(control)]() mutable {
        reactor->Finish(ToGrpcStatus(control(), context));
      });
  return reactor;
}

absl::Status ModelService::GetModelNow(const std::string& name,
                                       v1::Model* out) const {
  std::vector<std::string> names;
  for (const ModelStatus& model : engine_->ListModels()) {
    if (model.model == name) {
      *out = ConvertModel(model);
      return absl::OkStatus();
    }
    names.push_back(model.model);
  }
  return absl::NotFoundError(absl::StrCat(
      "model: no model '", name, "'; there ",
      names.empty() ? "is none" : "are ", absl::StrJoin(names, ", ")));
}

absl::Status ModelService::GetPinned(const std::string& model, int64_t version,
                                     v1::ModelVersion* out) const {
  v1::Model now;
  if (absl::Status status = GetModelNow(model, &now); !status.ok()) {
    return status;
  }
  for (v1::ModelVersion& candidate : *now.mutable_versions()) {
    if (candidate.version() == version) {
      *out = std::move(candidate);
      return absl::OkStatus();
    }
  }
  return absl::NotFoundError(
      absl::StrCat("version: ", version, " of model '", model,
                   "' is pinned, but has vanished meanwhile"));
}

}  // namespace ddgan
