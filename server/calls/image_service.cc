#include "server/calls/image_service.h"

#include "server/calls/generate_reactor.h"
#include "server/calls/generate_stream_reactor.h"

namespace ddgan {

grpc::ServerUnaryReactor* ImageService::Generate(
    grpc::CallbackServerContext* context, const v1::GenerateRequest* request,
    v1::GenerateResponse* response) {
  return GenerateReactor::Start(parts_, context, request, response);
}

grpc::ServerWriteReactor<v1::GenerateStreamResponse>*
ImageService::GenerateStream(grpc::CallbackServerContext* context,
                             const v1::GenerateStreamRequest* request) {
  return GenerateStreamReactor::Start(parts_, context, request);
}

}  // namespace ddgan
