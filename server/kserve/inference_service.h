// inference.GRPCInferenceService: the protocol of KServe and Triton.
#ifndef DDGAN_SERVER_KSERVE_INFERENCE_SERVICE_H_
#define DDGAN_SERVER_KSERVE_INFERENCE_SERVICE_H_

#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <functional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/api/engine.h"
#include "inference/v2.grpc.pb.h"
#include "server/calls/generation_call.h"
#include "server/calls/logged_call.h"

namespace ddgan {

// Thread-safe.
class InferenceService final
    : public inference::GRPCInferenceService::CallbackService {
 public:
  struct Parts {
    GenerationCall::Parts calls;
    // Whether calls are worth sending to this server; quick, from any thread.
    std::function<bool()> ready;
    std::string server_version;
  };

  explicit InferenceService(Parts parts) : parts_(std::move(parts)) {}

  grpc::ServerUnaryReactor* ServerLive(
      grpc::CallbackServerContext* context,
      const inference::ServerLiveRequest* request,
      inference::ServerLiveResponse* response) override;
  grpc::ServerUnaryReactor* ServerReady(
      grpc::CallbackServerContext* context,
      const inference::ServerReadyRequest* request,
      inference::ServerReadyResponse* response) override;
  grpc::ServerUnaryReactor* ModelReady(
      grpc::CallbackServerContext* context,
      const inference::ModelReadyRequest* request,
      inference::ModelReadyResponse* response) override;
  grpc::ServerUnaryReactor* ServerMetadata(
      grpc::CallbackServerContext* context,
      const inference::ServerMetadataRequest* request,
      inference::ServerMetadataResponse* response) override;
  grpc::ServerUnaryReactor* ModelMetadata(
      grpc::CallbackServerContext* context,
      const inference::ModelMetadataRequest* request,
      inference::ModelMetadataResponse* response) override;
  grpc::ServerUnaryReactor* ModelConfig(
      grpc::CallbackServerContext* context,
      const inference::ModelConfigRequest* request,
      inference::ModelConfigResponse* response) override;
  grpc::ServerUnaryReactor* ModelInfer(
      grpc::CallbackServerContext* context,
      const inference::ModelInferRequest* request,
      inference::ModelInferResponse* response) override;
  grpc::ServerUnaryReactor* ModelStatistics(
      grpc::CallbackServerContext* context,
      const inference::ModelStatisticsRequest* request,
      inference::ModelStatisticsResponse* response) override;
  grpc::ServerUnaryReactor* RepositoryIndex(
      grpc::CallbackServerContext* context,
      const inference::RepositoryIndexRequest* request,
      inference::RepositoryIndexResponse* response) override;

 private:
  LoggedCall Begin(grpc::CallbackServerContext* context, const char* method,
                   const std::string& model) const {
    return LoggedCall(
        {.access_log = parts_.calls.access_log, .access = parts_.calls.access},
        context, method, model);
  }

  // The version that a request for that model and version means.
  // InvalidArgument or NotFound.
  absl::StatusOr<ResolvedModel> Find(const std::string& name,
                                     const std::string& version) const;
  // Of the model's loaded versions, or of one.
  absl::Status FillStatistics(
      const inference::ModelStatisticsRequest& request,
      inference::ModelStatisticsResponse* response) const;

  const Parts parts_;
};

}  // namespace ddgan

#endif  // DDGAN_SERVER_KSERVE_INFERENCE_SERVICE_H_
