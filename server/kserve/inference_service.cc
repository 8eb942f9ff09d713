#include "server/kserve/inference_service.h"

#include <optional>
#include <utility>
#include <vector>

#include "server/calls/call_statistics.h"
#include "server/calls/request_conversion.h"
#include "server/kserve/infer_conversion.h"
#include "server/kserve/model_description.h"
#include "server/kserve/model_infer_reactor.h"

namespace ddgan {
namespace {

constexpr char kServerName[] = "ddgan-server";

// By Triton's names.
constexpr const char* kExtensions[] = {"model_configuration", "schedule_policy",
                                       "statistics"};

}  // namespace

grpc::ServerUnaryReactor* InferenceService::ServerLive(
    grpc::CallbackServerContext* context,
    const inference::ServerLiveRequest* /*request*/,
    inference::ServerLiveResponse* response) {
  response->set_live(parts_.calls.engine->Liveness().ok());
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  reactor->Finish(grpc::Status::OK);
  return reactor;
}

grpc::ServerUnaryReactor* InferenceService::ServerReady(
    grpc::CallbackServerContext* context,
    const inference::ServerReadyRequest* /*request*/,
    inference::ServerReadyResponse* response) {
  response->set_ready(parts_.ready());
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  reactor->Finish(grpc::Status::OK);
  return reactor;
}

grpc::ServerUnaryReactor* InferenceService::ModelReady(
    grpc::CallbackServerContext* context,
    const inference::ModelReadyRequest* request,
    inference::ModelReadyResponse* response) {
  LoggedCall call = Begin(context, "ModelReady", request->name());
  grpc::ServerUnaryReactor* const reactor = call.reactor();
  absl::Status status = Find(request->name(), request->version()).status();
  response->set_ready(status.ok() && parts_.ready());
  if (absl::IsNotFound(status)) status = absl::OkStatus();
  call.End(status, *response);
  return reactor;
}

grpc::ServerUnaryReactor* InferenceService::ServerMetadata(
    grpc::CallbackServerContext* context,
    const inference::ServerMetadataRequest* /*request*/,
    inference::ServerMetadataResponse* response) {
  LoggedCall call = Begin(context, "ServerMetadata", "");
  grpc::ServerUnaryReactor* const reactor = call.reactor();
  response->set_name(kServerName);
  response->set_version(parts_.server_version);
  for (const char* const extension : kExtensions) {
    response->add_extensions(extension);
  }
  call.End(absl::OkStatus(), *response);
  return reactor;
}

grpc::ServerUnaryReactor* InferenceService::ModelMetadata(
    grpc::CallbackServerContext* context,
    const inference::ModelMetadataRequest* request,
    inference::ModelMetadataResponse* response) {
  LoggedCall call = Begin(context, "ModelMetadata", request->name());
  grpc::ServerUnaryReactor* const reactor = call.reactor();
  const absl::StatusOr<ResolvedModel> model =
      Find(request->name(), request->version());
  if (model.ok()) {
    std::vector<int64_t> loaded;
    for (const ModelStatus& status : parts_.calls.engine->ListModels()) {
      if (status.model == request->name()) loaded = LoadedVersions(status);
    }
    *response = DescribeModel(*model, loaded);
  }
  call.End(model.status(), *response);
  return reactor;
}

grpc::ServerUnaryReactor* InferenceService::ModelConfig(
    grpc::CallbackServerContext* context,
    const inference::ModelConfigRequest* request,
    inference::ModelConfigResponse* response) {
  LoggedCall call = Begin(context, "ModelConfig", request->name());
  grpc::ServerUnaryReactor* const reactor = call.reactor();
  const absl::StatusOr<ResolvedModel> model =
      Find(request->name(), request->version());
  if (model.ok()) *response->mutable_config() = ConfigOf(*model);
  call.End(model.status(), *response);
  return reactor;
}

grpc::ServerUnaryReactor* InferenceService::ModelInfer(
    grpc::CallbackServerContext* context,
    const inference::ModelInferRequest* request,
    inference::ModelInferResponse* response) {
  return ModelInferReactor::Start(parts_.calls, context, request, response);
}

grpc::ServerUnaryReactor* InferenceService::ModelStatistics(
    grpc::CallbackServerContext* context,
    const inference::ModelStatisticsRequest* request,
    inference::ModelStatisticsResponse* response) {
  LoggedCall call = Begin(context, "ModelStatistics", request->name());
  grpc::ServerUnaryReactor* const reactor = call.reactor();
  call.End(FillStatistics(*request, response), *response);
  return reactor;
}

grpc::ServerUnaryReactor* InferenceService::RepositoryIndex(
    grpc::CallbackServerContext* context,
    const inference::RepositoryIndexRequest* request,
    inference::RepositoryIndexResponse* response) {
  LoggedCall call = Begin(context, "RepositoryIndex", "");
  grpc::ServerUnaryReactor* const reactor = call.reactor();
  absl::Status status;
  if (request->repository_name().empty()) {
    *response = IndexOf(parts_.calls.engine->ListModels(), request->ready());
  } else {
    status = absl::InvalidArgumentError(
        "repository_name: is not empty; the one repository has no name");
  }
  call.End(status, *response);
  return reactor;
}

absl::StatusOr<ResolvedModel> InferenceService::Find(
    const std::string& name, const std::string& version) const {
  if (absl::Status status = CheckModelName(name, "name"); !status.ok()) {
    return status;
  }
  const absl::StatusOr<std::optional<int64_t>> number =
      ConvertModelVersion("version", version);
  if (!number.ok()) return number.status();
  return parts_.calls.engine->Resolve(name, *number);
}

absl::Status InferenceService::FillStatistics(
    const inference::ModelStatisticsRequest& request,
    inference::ModelStatisticsResponse* response) const {
  const auto add = [&](const std::string& model, int64_t version) {
    *response->add_model_stats() = ConvertTally(
        model, version, parts_.calls.statistics->Of(model, version));
  };
  if (request.name().empty() && !request.version().empty()) {
    return absl::InvalidArgumentError(
        "version: is not empty; allowed beside a name alone");
  }
  if (!request.name().empty()) {
    const absl::StatusOr<ResolvedModel> model =
        Find(request.name(), request.version());
    if (!model.ok()) return model.status();
    if (!request.version().empty()) {
      add(request.name(), model->identity.version);
      return absl::OkStatus();
    }
  }
  for (const ModelStatus& model : parts_.calls.engine->ListModels()) {
    if (!request.name().empty() && model.model != request.name()) continue;
    for (const int64_t version : LoadedVersions(model)) {
      add(model.model, version);
    }
  }
  return absl::OkStatus();
}

}  // namespace ddgan
