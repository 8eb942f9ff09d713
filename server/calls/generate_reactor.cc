#include "server/calls/generate_reactor.h"

#include <cstddef>
#include <memory>
#include <utility>

#include "server/calls/request_conversion.h"

namespace ddgan {

grpc::ServerUnaryReactor* GenerateReactor::Start(
    const Parts& parts, grpc::CallbackServerContext* context,
    const v1::GenerateRequest* request, v1::GenerateResponse* response) {
  const std::shared_ptr<GenerateReactor> reactor(
      new GenerateReactor(parts, context, response));
  reactor->GenerationCall::Start(TakeMessage(request));
  return reactor.get();
}

GenerateReactor::GenerateReactor(const Parts& parts,
                                 grpc::CallbackServerContext* context,
                                 v1::GenerateResponse* response)
    : GenerationCall(parts, {.method = RpcMethod::kGenerate}, context),
      response_(response) {}

absl::StatusOr<ReplySize> GenerateReactor::SizeReply(
    const ConvertedRequest& request, const ImageShape& shape,
    int64_t request_bytes) const {
  if (absl::Status status = CheckReplySize(request, shape); !status.ok()) {
    return status;
  }
  return LargestReply(shape, request.formats, request_bytes);
}

void GenerateReactor::HandleAcceptance(const Acceptance& acceptance) {
  FillReplyHeader(acceptance, converted().generation.seed, response_);
}

void GenerateReactor::HandleImage(uint32_t position,
                                  std::vector<std::string> data) {
  absl::MutexLock lock(&mu_);
  images_.resize(converted().generation.count);
  images_[position] = std::move(data.front());
}

void GenerateReactor::HandleEnd() {
  if (Outcome().ok()) {
    FillImages();
    // The message, and what gRPC makes of it.
    ShrinkReply(reply_size().fixed +
                2 * static_cast<int64_t>(response_->ByteSizeLong()));
  }
  BeginWrite();
  // After this line OnDone may have given up the last reference.
  Finish(Conclude(static_cast<int64_t>(response_->ByteSizeLong())));
}

void GenerateReactor::FillImages() {
  FillTimings(response_->mutable_timings());
  absl::MutexLock lock(&mu_);
  response_->mutable_images()->Reserve(static_cast<int>(images_.size()));
  for (size_t i = 0; i < images_.size(); ++i) {
    v1::GeneratedImage* image = response_->add_images();
    image->set_index(converted().generation.first_index +
                     static_cast<uint32_t>(i));
    image->set_data(std::move(images_[i]));
  }
}

}  // namespace ddgan
