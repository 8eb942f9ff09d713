// A gRPC server in this process, on a free port of the loopback, that answers
// as a ddgan server would, with made-up pixels. Tests script its failures and
// look at what it was asked.
#ifndef DDGAN_TESTS_CLIENT_FAKE_IMAGE_SERVER_H_
#define DDGAN_TESTS_CLIENT_FAKE_IMAGE_SERVER_H_

#include <grpcpp/server.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "ddgan/v1/image_generation.grpc.pb.h"
#include "ddgan/v1/model.grpc.pb.h"

namespace ddgan {

// Thread-safe.
class FakeImageServer final : public v1::ImageGeneration::Service,
                              public v1::ModelService::Service {
 public:
  // What one Generate call does instead of answering.
  struct Failure {
    grpc::Status status;
    std::optional<std::string> pushback;  // Trailer grpc-retry-pushback-ms.
  };

  static constexpr uint64_t kDrawnSeed = 4242;  // For requests without one.
  static constexpr char kModel[] = "mnist";
  static constexpr int64_t kVersion = 3;

  // `channels` x 4 x 4 images.
  explicit FakeImageServer(uint32_t channels = 1);
  ~FakeImageServer() override;

  std::string address() const;  // "127.0.0.1:PORT"

  // The next calls fail so, one after the other; then it answers again.
  void FailNext(Failure failure) ABSL_LOCKS_EXCLUDED(mu_);

  // Changes each reply just before it is sent.
  void set_tamper(std::function<void(v1::GenerateResponse*)> tamper)
      ABSL_LOCKS_EXCLUDED(mu_);

  // Streams end so after their first event from now on.
  void BreakStreams(grpc::Status status) ABSL_LOCKS_EXCLUDED(mu_);

  // From now on no call is answered until ReleaseReplies, not even one that its
  // caller has given up.
  void HoldReplies() ABSL_LOCKS_EXCLUDED(mu_);
  void ReleaseReplies() ABSL_LOCKS_EXCLUDED(mu_);

  // Blocks until it has been asked so often, replies held or not.
  void AwaitRequests(size_t number) const ABSL_LOCKS_EXCLUDED(mu_);

  void SetServing(bool serving);

  // What ListModels and GetModel answer from now on, in the place of kModel
  // with kVersion live and a newer version refused.
  void SetModels(v1::ListModelsResponse models) ABSL_LOCKS_EXCLUDED(mu_);

  // What PinVersion and RollBack answer from now on; RollBack's version is
  // kVersion - 1. Any status but OK is also UnpinVersion's.
  void SetPinned(v1::ModelVersionState state) ABSL_LOCKS_EXCLUDED(mu_);
  void RefuseControl(grpc::Status status) ABSL_LOCKS_EXCLUDED(mu_);

  // What WatchModels sends from now on, before it ends with `end`; without one
  // it goes on until its caller leaves.
  void ScriptWatch(std::vector<v1::WatchModelsResponse> events,
                   std::optional<grpc::Status> end = std::nullopt)
      ABSL_LOCKS_EXCLUDED(mu_);

  // Calls that control models so far: "pin mnist 4", "unpin mnist", "roll back
  // mnist", "watch".
  std::vector<std::string> control_calls() const ABSL_LOCKS_EXCLUDED(mu_);

  // Generate requests so far, failed ones included.
  std::vector<v1::GenerateRequest> requests() const ABSL_LOCKS_EXCLUDED(mu_);

  // The value of ddgan-client-id for each of them; empty if there was none.
  std::vector<std::string> client_ids() const ABSL_LOCKS_EXCLUDED(mu_);

  // The metadata "authorization" of the last Generate call; empty without one.
  std::string last_authorization() const ABSL_LOCKS_EXCLUDED(mu_);

  // The pixels (raw8) of an image.
  static std::string Pixels(uint32_t channels, uint64_t seed, uint32_t index);

 private:
  grpc::Status Generate(grpc::ServerContext* context,
                        const v1::GenerateRequest* request,
                        v1::GenerateResponse* response) override
      ABSL_LOCKS_EXCLUDED(mu_);
  // Streams what Generate would answer, after previews if they are asked for.
  grpc::Status GenerateStream(
      grpc::ServerContext* context, const v1::GenerateStreamRequest* request,
      grpc::ServerWriter<v1::GenerateStreamResponse>* writer) override
      ABSL_LOCKS_EXCLUDED(mu_);
  grpc::Status ListModels(grpc::ServerContext* context,
                          const v1::ListModelsRequest* request,
                          v1::ListModelsResponse* response) override
      ABSL_LOCKS_EXCLUDED(mu_);
  grpc::Status GetModel(grpc::ServerContext* context,
                        const v1::GetModelRequest* request,
                        v1::GetModelResponse* response) override
      ABSL_LOCKS_EXCLUDED(mu_);
  grpc::Status PinVersion(grpc::ServerContext* context,
                          const v1::PinVersionRequest* request,
                          v1::PinVersionResponse* response) override
      ABSL_LOCKS_EXCLUDED(mu_);
  grpc::Status UnpinVersion(grpc::ServerContext* context,
                            const v1::UnpinVersionRequest* request,
                            v1::UnpinVersionResponse* response) override
      ABSL_LOCKS_EXCLUDED(mu_);
  grpc::Status RollBack(grpc::ServerContext* context,
                        const v1::RollBackRequest* request,
                        v1::RollBackResponse* response) override
      ABSL_LOCKS_EXCLUDED(mu_);
  grpc::Status WatchModels(
      grpc::ServerContext* context, const v1::WatchModelsRequest* request,
      grpc::ServerWriter<v1::WatchModelsResponse>* writer) override
      ABSL_LOCKS_EXCLUDED(mu_);

  // Notes the call, and returns what it is refused with, if it is.
  grpc::Status TakeControlCall(const std::string& call)
      ABSL_LOCKS_EXCLUDED(mu_);

  const uint32_t channels_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;

  mutable absl::Mutex mu_;
  std::deque<Failure> failures_ ABSL_GUARDED_BY(mu_);
  std::function<void(v1::GenerateResponse*)> tamper_ ABSL_GUARDED_BY(mu_);
  grpc::Status stream_break_ ABSL_GUARDED_BY(mu_);
  std::vector<v1::GenerateRequest> requests_ ABSL_GUARDED_BY(mu_);
  std::vector<std::string> client_ids_ ABSL_GUARDED_BY(mu_);
  std::string last_authorization_ ABSL_GUARDED_BY(mu_);
  bool holds_replies_ ABSL_GUARDED_BY(mu_) = false;
  v1::ListModelsResponse models_ ABSL_GUARDED_BY(mu_);
  v1::ModelVersionState pinned_ ABSL_GUARDED_BY(mu_) =
      v1::MODEL_VERSION_STATE_LIVE;
  grpc::Status control_refusal_ ABSL_GUARDED_BY(mu_);
  std::vector<v1::WatchModelsResponse> watch_events_ ABSL_GUARDED_BY(mu_);
  std::optional<grpc::Status> watch_end_ ABSL_GUARDED_BY(mu_);
  std::vector<std::string> control_calls_ ABSL_GUARDED_BY(mu_);
};

}  // namespace ddgan

#endif  // DDGAN_TESTS_CLIENT_FAKE_IMAGE_SERVER_H_
