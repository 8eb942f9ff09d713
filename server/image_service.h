// ddgan.v1.ImageGeneration.
#ifndef DDGAN_SERVER_IMAGE_SERVICE_H_
#define DDGAN_SERVER_IMAGE_SERVICE_H_

#include <grpcpp/grpcpp.h>

#include "ddgan/v1/image_generation.grpc.pb.h"
#include "server/generate_reactor.h"

namespace ddgan {

// Thread-safe.
class ImageService final : public v1::ImageGeneration::CallbackService {
 public:
  explicit ImageService(const GenerateReactor::Parts& parts) : parts_(parts) {}

  grpc::ServerUnaryReactor* Generate(grpc::CallbackServerContext* context,
                                     const v1::GenerateRequest* request,
                                     v1::GenerateResponse* response) override;

 private:
  const GenerateReactor::Parts parts_;
};

}  // namespace ddgan

#endif  // DDGAN_SERVER_IMAGE_SERVICE_H_
