// One GenerateStream call in flight: writes what StreamQueue says, one event at
// a time, while the images are made.
#ifndef DDGAN_SERVER_CALLS_GENERATE_STREAM_REACTOR_H_
#define DDGAN_SERVER_CALLS_GENERATE_STREAM_REACTOR_H_

#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "ddgan/v1/image_generation.pb.h"
#include "engine/api/engine.h"
#include "engine/api/generation.h"
#include "server/calls/generation_call.h"
#include "server/calls/stream_queue.h"

namespace ddgan {

// Thread-safe, as GenerationCall is. A write that does not get through, because
// the caller reads slowly, holds up nothing but the writes after it: images
// wait in the queue, bounded by what is booked for the reply until its last
// write is done (byte_ledger.h), and previews are dropped.
//
// The call is finished once the generation has ended and the queue is drained.
// After a failure of the engine the images that were done are still sent.
class GenerateStreamReactor final
    : public grpc::ServerWriteReactor<v1::GenerateStreamResponse>,
      public GenerationCall {
 public:
  // Starts the call and returns the reactor to hand to gRPC. `context` and
  // `request` are gRPC's, valid until OnDone.
  static grpc::ServerWriteReactor<v1::GenerateStreamResponse>* Start(
      const Parts& parts, grpc::CallbackServerContext* context,
      const v1::GenerateStreamRequest* request);

  // grpc::ServerWriteReactor, on a gRPC thread:
  void OnWriteDone(bool ok) override ABSL_LOCKS_EXCLUDED(mu_);
  void OnCancel() override ABSL_LOCKS_EXCLUDED(mu_);
  void OnDone() override ABSL_LOCKS_EXCLUDED(mu_);

 private:
  GenerateStreamReactor(const Parts& parts,
                        grpc::CallbackServerContext* context, bool previews);

  // GenerationCall:
  absl::StatusOr<ReplySize> SizeReply(const ConvertedRequest& request,
                                      const ImageShape& shape,
                                      int64_t request_bytes) const override;
  void HandleAcceptance(const Acceptance& acceptance) override
      ABSL_LOCKS_EXCLUDED(mu_);
  void HandleImage(uint32_t position, std::vector<std::string> data) override
      ABSL_LOCKS_EXCLUDED(mu_);
  void HandlePreview(GeneratedImage x0, int t) override
      ABSL_LOCKS_EXCLUDED(mu_);
  void HandleEnd() override ABSL_LOCKS_EXCLUDED(mu_);

  // On an encoder thread.
  void EncodePreview() ABSL_LOCKS_EXCLUDED(mu_);
  // After any change of the queue but a new preview: starts whatever can be
  // started. Not on a lane's thread, since a write serialises its event.
  void Advance() ABSL_LOCKS_EXCLUDED(mu_);

  const bool previews_;  // Constant after construction.

  absl::Mutex mu_;
  StreamQueue queue_ ABSL_GUARDED_BY(mu_);
  bool preview_written_ ABSL_GUARDED_BY(mu_) = false;
  bool finished_ ABSL_GUARDED_BY(mu_) = false;
  int64_t bytes_written_ ABSL_GUARDED_BY(mu_) = 0;  // Messages' sizes.

  // gRPC reads it from StartWrite to OnWriteDone; in between writes it belongs
  // to whom the queue gives the next event.
  v1::GenerateStreamResponse writing_;
};

}  // namespace ddgan

#endif  // DDGAN_SERVER_CALLS_GENERATE_STREAM_REACTOR_H_
