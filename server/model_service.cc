#include "server/model_service.h"

#include "server/request_conversion.h"

namespace ddgan {

grpc::ServerUnaryReactor* ModelService::ListModels(
    grpc::CallbackServerContext* context,
    const v1::ListModelsRequest* /*request*/,
    v1::ListModelsResponse* response) {
  *response = ConvertModelList(engine_->ListModels());
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(grpc::Status::OK);
  return reactor;
}

}  // namespace ddgan
