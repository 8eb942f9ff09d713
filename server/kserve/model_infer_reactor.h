// One ModelInfer call in flight: a Generate call in the inference protocol's
// messages, whose images each have noise of their own.
#ifndef DDGAN_SERVER_KSERVE_MODEL_INFER_REACTOR_H_
#define DDGAN_SERVER_KSERVE_MODEL_INFER_REACTOR_H_

#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "engine/api/generation.h"
#include "inference/v2.pb.h"
#include "server/calls/generation_call.h"

namespace ddgan {

// Thread-safe, as GenerationCall is.
class ModelInferReactor final : public grpc::ServerUnaryReactor,
                                public GenerationCall {
 public:
  // Starts the call and returns the reactor to hand to gRPC. `context`,
  // `request` and `response` are gRPC's, valid until OnDone.
  static grpc::ServerUnaryReactor* Start(
      const Parts& parts, grpc::CallbackServerContext* context,
      const inference::ModelInferRequest* request,
      inference::ModelInferResponse* response);

  // grpc::ServerUnaryReactor, on a gRPC thread:
  void OnCancel() override { Cancel(); }
  void OnDone() override { LetGo(); }

 private:
  ModelInferReactor(const Parts& parts, grpc::CallbackServerContext* context,
                    absl::Duration timeout, std::string id,
                    inference::ModelInferResponse* response);

  // GenerationCall:
  absl::StatusOr<ReplySize> SizeReply(const ConvertedRequest& request,
                                      const ImageShape& shape,
                                      int64_t request_bytes) const override;
  void HandleAcceptance(const Acceptance& acceptance) override;
  void HandleImage(uint32_t position, std::vector<std::string> data) override
      ABSL_LOCKS_EXCLUDED(mu_);
  void HandleEnd() override ABSL_LOCKS_EXCLUDED(mu_);

  const std::string id_;  // The caller's, to send back.
  inference::ModelInferResponse* const response_;

  absl::Mutex mu_;
  // By position in the request, in the request's formats; empty until encoded.
  std::vector<std::vector<std::string>> images_ ABSL_GUARDED_BY(mu_);
};

}  // namespace ddgan

#endif  // DDGAN_SERVER_KSERVE_MODEL_INFER_REACTOR_H_
