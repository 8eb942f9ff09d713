// One Generate call in flight: submits it to the engine, has its images encoded
// as they finish, and answers when the last one is done.
#ifndef DDGAN_SERVER_GENERATE_REACTOR_H_
#define DDGAN_SERVER_GENERATE_REACTOR_H_

#include <grpcpp/grpcpp.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "ddgan/v1/image_generation.pb.h"
#include "engine/engine.h"
#include "engine/generation.h"
#include "server/encode_pool.h"
#include "server/prometheus_observer.h"
#include "server/request_conversion.h"

namespace ddgan {

// Thread-safe: gRPC threads, lanes and encoder threads all call it, and none of
// them waits in it.
//
// It answers when nothing is pending any more: the submission, the engine's
// OnFinished and each image's encoding count as one each, and whoever brings
// the count to zero finishes the call, once. gRPC, the engine and the encoder
// hold it while they need it; it is deleted with the last of them.
class GenerateReactor final
    : public grpc::ServerUnaryReactor,
      public GenerationSink,
      public std::enable_shared_from_this<GenerateReactor> {
 public:
  // What all calls share; must outlive every call.
  struct Parts {
    Engine* engine = nullptr;
    EncodePool* encode_pool = nullptr;
    PrometheusObserver* metrics = nullptr;
  };

  // Starts the call and returns the reactor to hand to gRPC. `context`,
  // `request` and `response` are gRPC's, valid until OnDone.
  static grpc::ServerUnaryReactor* Start(const Parts& parts,
                                         grpc::CallbackServerContext* context,
                                         const v1::GenerateRequest* request,
                                         v1::GenerateResponse* response);

  // grpc::ServerUnaryReactor, on a gRPC thread:
  void OnCancel() override ABSL_LOCKS_EXCLUDED(mu_);
  void OnDone() override;

  // GenerationSink, on a lane's thread:
  void OnImage(GeneratedImage image) override ABSL_LOCKS_EXCLUDED(mu_);
  void OnFinished(const absl::Status& status,
                  const GenerationTimings& timings) override
      ABSL_LOCKS_EXCLUDED(mu_);

 private:
  GenerateReactor(const Parts& parts, grpc::CallbackServerContext* context,
                  v1::GenerateResponse* response);

  // Converts, reserves encoder room, submits.
  void Submit(const v1::GenerateRequest& request) ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status TrySubmit(const v1::GenerateRequest& request)
      ABSL_LOCKS_EXCLUDED(mu_);
  // On an encoder thread.
  void Encode(GeneratedImage image) ABSL_LOCKS_EXCLUDED(mu_);
  // Keeps the first error, and has the engine drop what is left of the request.
  void Fail(const absl::Status& error) ABSL_LOCKS_EXCLUDED(mu_);
  // One pending thing is done; the last one finishes the call.
  void Release() ABSL_LOCKS_EXCLUDED(mu_);
  void FinishCall() ABSL_LOCKS_EXCLUDED(mu_);
  // Whether a call that is cancelled now was so by its deadline.
  bool CallerTimedOut() const;
  absl::Status OutcomeLocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void FillResponse() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // Constant after construction.
  const Parts parts_;
  grpc::CallbackServerContext* const context_;
  v1::GenerateResponse* const response_;
  const absl::Time arrived_;
  const absl::Time deadline_;

  // Constant once submitted.
  ConvertedRequest converted_;

  // gRPC's share in the ownership, given up in OnDone.
  std::shared_ptr<GenerateReactor> held_for_grpc_;

  mutable absl::Mutex mu_;
  int pending_ ABSL_GUARDED_BY(mu_) = 1;     // The submission.
  absl::Status error_ ABSL_GUARDED_BY(mu_);  // The first one.
  bool cancelled_ ABSL_GUARDED_BY(mu_) = false;
  std::optional<Acceptance> acceptance_ ABSL_GUARDED_BY(mu_);
  std::optional<EncodePool::Reservation> reservation_ ABSL_GUARDED_BY(mu_);
  // By position in the request; empty until encoded.
  std::vector<std::string> images_ ABSL_GUARDED_BY(mu_);
  GenerationTimings timings_ ABSL_GUARDED_BY(mu_);
  absl::Duration encode_time_ ABSL_GUARDED_BY(mu_);
};

}  // namespace ddgan

#endif  // DDGAN_SERVER_GENERATE_REACTOR_H_
