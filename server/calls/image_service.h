// ddgan.v1.ImageGeneration.
#ifndef DDGAN_SERVER_CALLS_IMAGE_SERVICE_H_
#define DDGAN_SERVER_CALLS_IMAGE_SERVICE_H_

#include <grpcpp/grpcpp.h>

#include "ddgan/v1/image_generation.grpc.pb.h"
#include "server/calls/generation_call.h"

namespace ddgan {

// Thread-safe.
class ImageService final : public v1::ImageGeneration::CallbackService {
 public:
  explicit ImageService(const GenerationCall::Parts& parts) : parts_(parts) {}

  grpc::ServerUnaryReactor* Generate(grpc::CallbackServerContext* context,
                                     const v1::GenerateRequest* request,
                                     v1::GenerateResponse* response) override;
  grpc::ServerWriteReactor<v1::GenerateStreamResponse>* GenerateStream(
      grpc::CallbackServerContext* context,
      const v1::GenerateStreamRequest* request) override;

 private:
  const GenerationCall::Parts parts_;
};

}  // namespace ddgan

#endif  // DDGAN_SERVER_CALLS_IMAGE_SERVICE_H_
