// One Generate call in flight: keeps its images as they are encoded, and
// answers with all of them when the last one is.
#ifndef DDGAN_SERVER_CALLS_GENERATE_REACTOR_H_
#define DDGAN_SERVER_CALLS_GENERATE_REACTOR_H_

#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "ddgan/v1/image_generation.pb.h"
#include "engine/api/engine.h"
#include "server/calls/generation_call.h"

namespace ddgan {

// Thread-safe, as GenerationCall is.
class GenerateReactor final : public grpc::ServerUnaryReactor,
                              public GenerationCall {
 public:
  // Starts the call and returns the reactor to hand to gRPC. `context`,
  // `request` and `response` are gRPC's, valid until OnDone.
  static grpc::ServerUnaryReactor* Start(const Parts& parts,
                                         grpc::CallbackServerContext* context,
                                         const v1::GenerateRequest* request,
                                         v1::GenerateResponse* response);

  // grpc::ServerUnaryReactor, on a gRPC thread:
  void OnCancel() override { Cancel(); }
  void OnDone() override { LetGo(); }

 private:
  GenerateReactor(const Parts& parts, grpc::CallbackServerContext* context,
                  v1::GenerateResponse* response);

  // GenerationCall:
  absl::StatusOr<ReplySize> SizeReply(const ConvertedRequest& request,
                                      const ImageShape& shape,
                                      int64_t request_bytes) const override;
  void HandleAcceptance(const Acceptance& acceptance) override;
  void HandleImage(uint32_t position, std::vector<std::string> data) override
      ABSL_LOCKS_EXCLUDED(mu_);
  void HandleEnd() override ABSL_LOCKS_EXCLUDED(mu_);

  // Puts images and timings into the response.
  void FillImages() ABSL_LOCKS_EXCLUDED(mu_);

  v1::GenerateResponse* const response_;  // Constant after construction.

  absl::Mutex mu_;
  // By position in the request.
  std::vector<std::string> images_ ABSL_GUARDED_BY(mu_);
};

}  // namespace ddgan

#endif  // DDGAN_SERVER_CALLS_GENERATE_REACTOR_H_
