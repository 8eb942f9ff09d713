#include "server/generate_reactor.h"

#include <cstddef>
#include <memory>
#include <utility>

#include "server/request_conversion.h"

namespace ddgan {

grpc::ServerUnaryReactor* GenerateReactor::Start(
    const Parts& parts, grpc::CallbackServerContext* context,
    const v1::GenerateRequest* request, v1::GenerateResponse* response) {
  const std::shared_ptr<GenerateReactor> reactor(
      new GenerateReactor(parts, context, response));
  reactor->GenerationCall::Start(*request);
  return reactor.get();
}

GenerateReactor::GenerateReactor(const Parts& parts,
                                 grpc::CallbackServerContext* context,
                                 v1::GenerateResponse* response)
    : GenerationCall(parts, RpcMethod::kGenerate, /*previews=*/false, context),
      response_(response) {}

absl::Status GenerateReactor::HandleAcceptance(const Acceptance& acceptance) {
  FillReplyHeader(acceptance, converted().generation.seed, response_);
  return CheckReplySize(converted(), acceptance.shape);
}

void GenerateReactor::HandleImage(uint32_t index, std::string data) {
  absl::MutexLock lock(&mu_);
  images_.resize(converted().generation.count);
  images_[index - converted().generation.first_index] = std::move(data);
}

void GenerateReactor::HandleEnd() {
  if (Outcome().ok()) {
    absl::MutexLock lock(&mu_);
    response_->mutable_images()->Reserve(static_cast<int>(images_.size()));
    for (size_t i = 0; i < images_.size(); ++i) {
      v1::GeneratedImage* image = response_->add_images();
      image->set_index(converted().generation.first_index +
                       static_cast<uint32_t>(i));
      image->set_data(std::move(images_[i]));
    }
    FillTimings(response_->mutable_timings());
  }
  // After this line OnDone may have given up the last reference.
  Finish(Conclude());
}

}  // namespace ddgan
