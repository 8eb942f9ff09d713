#include "server/models/model_service.h"

#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "engine/base/monotonic_clock.h"
#include "server/calls/request_conversion.h"
#include "server/models/model_conversion.h"

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
  LoggedCall call = Begin(context, "ListModels", "");
  grpc::ServerUnaryReactor* const reactor = call.reactor();
  *response = ConvertModelList(engine_->ListModels());
  for (std::string& stray : engine_->ListStrays()) {
    response->add_strays(std::move(stray));
  }
  call.End(absl::OkStatus(), *response);
  return reactor;
}

grpc::ServerUnaryReactor* ModelService::GetModel(
    grpc::CallbackServerContext* context, const v1::GetModelRequest* request,
    v1::GetModelResponse* response) {
  LoggedCall call = Begin(context, "GetModel", request->model());
  grpc::ServerUnaryReactor* const reactor = call.reactor();
  absl::Status status = CheckModelName(request->model());
  if (status.ok()) {
    status = GetModelNow(request->model(), response->mutable_model());
  }
  call.End(status, *response);
  return reactor;
}

grpc::ServerUnaryReactor* ModelService::PinVersion(
    grpc::CallbackServerContext* context, const v1::PinVersionRequest* request,
    v1::PinVersionResponse* response) {
  LoggedCall call = Begin(context, "PinVersion", request->model());
  call.record().version = request->version();
  return Control(std::move(call), *response, [this, request, response] {
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
  LoggedCall call = Begin(context, "UnpinVersion", request->model());
  return Control(std::move(call), *response, [this, request, response] {
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
  LoggedCall call = Begin(context, "RollBack", request->model());
  return Control(std::move(call), *response,
                 [this, request, response]() -> absl::Status {
                   if (absl::Status status = CheckModelName(request->model());
                       !status.ok()) {
                     return status;
                   }
                   const absl::StatusOr<int64_t> version =
                       engine_->RollBack(request->model());
                   if (!version.ok()) return version.status();
                   return GetPinned(request->model(), *version,
                                    response->mutable_version());
                 });
}

grpc::ServerWriteReactor<v1::WatchModelsResponse>* ModelService::WatchModels(
    grpc::CallbackServerContext* context,
    const v1::WatchModelsRequest* /*request*/) {
  std::optional<OpenWatches::Place> place =
      open_watches_.Enter(context->peer());
  const bool has_place = place.has_value();
  // The reactor has it as long as it lives.
  auto log = [this, place = std::move(place),
              record = RecordOf(access_, context, "WatchModels", ""),
              arrived = RealMonotonicClock()->Now()](
                 const absl::Status& status, int64_t reply_bytes) mutable {
    record.status = status;
    record.total = RealMonotonicClock()->Now() - arrived;
    record.reply_bytes = reply_bytes;
    access_log_->Write(record);
  };
  const std::shared_ptr<WatchModelsReactor> reactor =
      WatchModelsReactor::Create(engine_, *writes_, context, std::move(log));
  bool ended;
  {
    absl::MutexLock lock(&mu_);
    ended = watches_ended_;
    std::erase_if(watches_, [](const auto& watch) { return watch.expired(); });
    watches_.push_back(reactor);
  }
  if (!has_place) reactor->End(OpenWatches::Refusal());
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
    LoggedCall call, const google::protobuf::Message& response,
    absl::AnyInvocable<absl::Status()> control) {
  grpc::ServerUnaryReactor* const reactor = call.reactor();
  if (absl::Status status = CheckOrder(orders_); !status.ok()) {
    call.End(status, response);
    return reactor;
  }
  control_thread_.Run([call = std::move(call), &response,
                       control = std::move(control)]() mutable {
    const absl::Status status = control();
    call.End(status, response);
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
