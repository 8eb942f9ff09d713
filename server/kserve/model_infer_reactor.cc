#include "server/kserve/model_infer_reactor.h"

#include <memory>
#include <utility>

#include "server/calls/reply_size.h"
#include "server/kserve/infer_conversion.h"

namespace ddgan {

grpc::ServerUnaryReactor* ModelInferReactor::Start(
    const Parts& parts, grpc::CallbackServerContext* context,
    const inference::ModelInferRequest* request,
    inference::ModelInferResponse* response) {
  inference::ModelInferRequest taken = TakeMessage(request);
  absl::StatusOr<ConvertedInfer> converted = ConvertInfer(taken);
  const std::shared_ptr<ModelInferReactor> reactor(new ModelInferReactor(
      parts, context,
      converted.ok() ? converted->timeout : absl::InfiniteDuration(),
      // Not one that is refused, which nobody has booked.
      converted.ok() ? std::move(*taken.mutable_id()) : std::string(),
      response));
  absl::StatusOr<ConvertedRequest> asked;
  if (converted.ok()) {
    asked = std::move(converted->request);
  } else {
    asked = converted.status();
  }
  reactor->GenerationCall::Start(taken.model_name(), std::move(asked),
                                 static_cast<int64_t>(reactor->id_.size()));
  return reactor.get();
}

ModelInferReactor::ModelInferReactor(const Parts& parts,
                                     grpc::CallbackServerContext* context,
                                     absl::Duration timeout, std::string id,
                                     inference::ModelInferResponse* response)
    : GenerationCall(parts,
                     {.method = RpcMethod::kModelInfer, .timeout = timeout},
                     context),
      id_(std::move(id)),
      response_(response) {}

absl::StatusOr<ReplySize> ModelInferReactor::SizeReply(
    const ConvertedRequest& request, const ImageShape& shape,
    int64_t request_bytes) const {
  if (absl::Status status = CheckReplySize(request, shape); !status.ok()) {
    return status;
  }
  return LargestReply(shape, request.formats, request_bytes);
}

void ModelInferReactor::HandleAcceptance(const Acceptance& acceptance) {
  FillInferHeader(acceptance, converted(), id_, response_);
}

void ModelInferReactor::HandleImage(uint32_t position,
                                    std::vector<std::string> data) {
  absl::MutexLock lock(&mu_);
  images_.resize(converted().generation.count);
  images_[position] = std::move(data);
}

void ModelInferReactor::HandleEnd() {
  if (Outcome().ok()) {
    {
      absl::MutexLock lock(&mu_);
      FillInferContents(converted(), std::move(images_), response_);
    }
    // The message, and what gRPC makes of it.
    ShrinkReply(reply_size().fixed +
                2 * static_cast<int64_t>(response_->ByteSizeLong()));
  }
  BeginWrite();
  // After this line OnDone may have given up the last reference.
  Finish(Conclude(static_cast<int64_t>(response_->ByteSizeLong())));
}

}  // namespace ddgan
