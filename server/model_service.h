// ddgan.v1.ModelService.
#ifndef DDGAN_SERVER_MODEL_SERVICE_H_
#define DDGAN_SERVER_MODEL_SERVICE_H_

#include <grpcpp/grpcpp.h>

#include "ddgan/v1/model.grpc.pb.h"
#include "engine/engine.h"

namespace ddgan {

// Thread-safe.
class ModelService final : public v1::ModelService::CallbackService {
 public:
  // `engine` must outlive the service.
  explicit ModelService(const Engine* engine) : engine_(engine) {}

  grpc::ServerUnaryReactor* ListModels(
      grpc::CallbackServerContext* context,
      const v1::ListModelsRequest* request,
      v1::ListModelsResponse* response) override;

 private:
  const Engine* const engine_;
};

}  // namespace ddgan

#endif  // DDGAN_SERVER_MODEL_SERVICE_H_
