#include "server/image_service.h"

namespace ddgan {

grpc::ServerUnaryReactor* ImageService::Generate(
    grpc::CallbackServerContext* context, const v1::GenerateRequest* request,
    v1::GenerateResponse* response) {
  return GenerateReactor::Start(parts_, context, request, response);
}

}  // namespace ddgan
