// What Generate and GenerateStream have in common: one request on its way
// through conversion, encode pool and engine, and how it ends.
#ifndef DDGAN_SERVER_CALLS_GENERATION_CALL_H_
#define DDGAN_SERVER_CALLS_GENERATION_CALL_H_

#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "ddgan/v1/image_generation.pb.h"
#include "engine/api/engine.h"
#include "engine/api/generation.h"
#include "server/access/access_control.h"
#include "server/access/access_observer.h"
#include "server/access/access_record.h"
#include "server/access/tenant_quotas.h"
#include "server/access/trace_context.h"
#include "server/calls/call_observer.h"
#include "server/calls/encode_pool.h"
#include "server/calls/png_provenance.h"
#include "server/calls/reply_size.h"
#include "server/calls/request_conversion.h"
#include "server/connections/byte_ledger.h"
#include "server/connections/calls_in_flight.h"
#include "server/connections/write_watch.h"

namespace ddgan {

// A reactor derives from it and from gRPC's reactor class. Thread-safe: gRPC
// threads, lanes and encoder threads all call it, and none of them waits in it.
//
// The generation has ended when nothing is pending any more: the submission,
// the engine's OnFinished and each encoding count as one each, and whoever
// brings the count to zero calls HandleEnd, once. gRPC, the engine and the
// encoder hold the call while they need it; it is deleted with the last of
// them.
class GenerationCall : public GenerationSink,
                       public std::enable_shared_from_this<GenerationCall> {
 public:
  // What all calls share; must outlive every call.
  struct Parts {
    Engine* engine = nullptr;
    EncodePool* encode_pool = nullptr;
    ByteLedger* ledger = nullptr;
    const WriteWatch::Parts* writes = nullptr;
    CallObserver* metrics = nullptr;
    AccessObserver* access_metrics = nullptr;
    AccessControl* access = nullptr;  // Null: calls need no token.
    AccessRecorder* access_log = nullptr;
    CallsInFlight* calls = nullptr;
  };

  // GenerationSink, on a lane's thread:
  void OnImage(GeneratedImage image) final ABSL_LOCKS_EXCLUDED(mu_);
  void OnPreview(GeneratedImage x0, int t) final ABSL_LOCKS_EXCLUDED(mu_);
  void OnFinished(const absl::Status& status,
                  const GenerationTimings& timings) final
      ABSL_LOCKS_EXCLUDED(mu_);

 protected:
  // `context` is gRPC's, valid until OnDone. `previews`: whether HandlePreview
  // is wanted.
  GenerationCall(const Parts& parts, RpcMethod method, bool previews,
                 grpc::CallbackServerContext* context);

  // Once, before the reactor is handed to gRPC, which holds the call from then
  // until LetGo. `request` is gRPC's, valid until OnDone. A guide is decoded,
  // and its request submitted, on an encoder thread.
  void Start(const v1::GenerateRequest& request) ABSL_LOCKS_EXCLUDED(mu_);

  // For OnCancel: frees the request's places in the engine. What is under way
  // ends soon, and then the call.
  void Cancel() ABSL_LOCKS_EXCLUDED(mu_);

  // For OnDone: gives back what is booked of the ledger. The call may be
  // deleted by it.
  void LetGo() ABSL_LOCKS_EXCLUDED(mu_);

  // Around every write, and before Finish.
  void BeginWrite() { writes_.Begin(); }
  void EndWrite() { writes_.End(); }

  // Gives back what is booked beyond `bytes`.
  void ShrinkReply(int64_t bytes) ABSL_LOCKS_EXCLUDED(mu_);
  // Gives back what was booked for one image, which is sent.
  void ForgetImage() ABSL_LOCKS_EXCLUDED(mu_);

  // Runs `work` on an encoder thread, once the request is accepted; the
  // generation does not end before that is done. No effect once it has ended.
  void RunOnEncoder(EncodePool::Task work) ABSL_LOCKS_EXCLUDED(mu_);

  // `image` in the request's format; `preview_step` is the t of a preview,
  // unset for an image that is done. For work that RunOnEncoder runs. Internal
  // if it cannot be encoded.
  absl::StatusOr<std::string> Encode(const GeneratedImage& image,
                                     std::optional<int> preview_step);

  // Keeps the first error, and has the engine drop what is left of the request.
  void Fail(const absl::Status& error) ABSL_LOCKS_EXCLUDED(mu_);

  // Whether nobody waits for images any more.
  bool abandoned() const ABSL_LOCKS_EXCLUDED(mu_);

  // From HandleEnd on: how it went. A call that is cancelled later turns from
  // OK to Cancelled, or to DeadlineExceeded if that was why.
  absl::Status Outcome() const ABSL_LOCKS_EXCLUDED(mu_);

  // From HandleEnd on, once: counts and logs the call, whose reply had so many
  // bytes, gives its reservation back and returns what to finish it with.
  grpc::Status Conclude(int64_t reply_bytes) ABSL_LOCKS_EXCLUDED(mu_);

  // Known once accepted.
  const ConvertedRequest& converted() const { return converted_; }
  const ReplySize& reply_size() const { return reply_size_; }
  // From HandleEnd on.
  void FillTimings(v1::GenerateTimings* timings) const ABSL_LOCKS_EXCLUDED(mu_);

  CallObserver& metrics() const { return *parts_.metrics; }
  absl::Time arrived() const { return arrived_; }

 private:
  // The most that the reply can come to, or why there is none of this size.
  // Called once converted, before the engine gets the request.
  virtual absl::StatusOr<ReplySize> SizeReply(const ImageShape& shape,
                                              int64_t request_bytes) const = 0;
  // The engine took the request. On the submitting thread; images may have come
  // before.
  virtual void HandleAcceptance(const Acceptance& acceptance) = 0;
  // On an encoder thread. `index` is one of the request's.
  virtual void HandleImage(uint32_t index, std::string data) = 0;
  // On a lane's thread.
  virtual void HandlePreview(GeneratedImage /*x0*/, int /*t*/) {}
  // Nothing is pending any more. On any thread but a lane's.
  virtual void HandleEnd() = 0;

  // The submission is three steps, the last of which ends it. Until then it
  // counts as pending.
  //
  // Converts all but the guide, and reserves quota and room: encoder and
  // ledger.
  absl::Status Prepare(const v1::GenerateRequest& request)
      ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status ReserveReply(const std::string& account, int64_t request_bytes)
      ABSL_LOCKS_EXCLUDED(mu_);
  // A call that was cancelled before is cancelled in the engine by it.
  absl::Status Submit(std::optional<Guide> guide) ABSL_LOCKS_EXCLUDED(mu_);
  void EndSubmission(const absl::Status& status) ABSL_LOCKS_EXCLUDED(mu_);

  // Sets whose call it is, and takes what it needs of the tenant's quota.
  // `account` becomes the one that the ledger books the reply on.
  absl::Status Identify(std::string* account) ABSL_LOCKS_EXCLUDED(mu_);
  // Submits with `guide` as well, unless nobody waits any more.
  absl::Status DecodeAndSubmit(const v1::Guide& guide) ABSL_LOCKS_EXCLUDED(mu_);
  void EncodeImage(const GeneratedImage& image) ABSL_LOCKS_EXCLUDED(mu_);
  // One pending thing is done; the last one ends the generation.
  void Release() ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status OutcomeLocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void LogAccess(const absl::Status& outcome, absl::Duration total,
                 int64_t reply_bytes) ABSL_LOCKS_EXCLUDED(mu_);

  // Constant after construction.
  const Parts parts_;
  const RpcMethod method_;
  const bool previews_;
  grpc::CallbackServerContext* const context_;
  const CallsInFlight::Call in_flight_;
  const absl::Time arrived_;
  const absl::Time deadline_;
  const TraceContext trace_;
  std::string asked_model_;  // Constant once started.

  // Constant once prepared. Without the guide: its picture, of up to 12 MiB, is
  // the engine's to keep, while this may wait for a slow reader.
  ConvertedRequest converted_;
  ImageShape shape_;      // That the reply was sized by.
  ReplySize reply_size_;  // The same.
  // Constant, and set, once accepted.
  std::optional<PngProvenance> provenance_;

  WriteWatch writes_;

  // gRPC's share in the ownership.
  std::shared_ptr<GenerationCall> held_for_grpc_;

  mutable absl::Mutex mu_;
  int pending_ ABSL_GUARDED_BY(mu_) = 1;     // The submission.
  absl::Status error_ ABSL_GUARDED_BY(mu_);  // The first one.
  bool cancelled_ ABSL_GUARDED_BY(mu_) = false;
  // Nobody waits for images: the caller left, is out of time, or gets an error
  // that has nothing to do with the engine.
  bool abandoned_ ABSL_GUARDED_BY(mu_) = false;
  std::optional<Acceptance> acceptance_ ABSL_GUARDED_BY(mu_);
  // What came before the acceptance, which it waits for.
  std::vector<EncodePool::Task> early_work_ ABSL_GUARDED_BY(mu_);
  std::optional<EncodePool::Reservation> reservation_ ABSL_GUARDED_BY(mu_);
  // Until OnDone.
  ByteLedger::Reservation reply_bytes_ ABSL_GUARDED_BY(mu_);
  // Unset also without tokens.
  std::optional<TenantQuotas::Lease> lease_ ABSL_GUARDED_BY(mu_);
  // By position in the request: whether the image is encoded.
  std::vector<bool> encoded_ ABSL_GUARDED_BY(mu_);
  std::optional<GenerationTimings> timings_ ABSL_GUARDED_BY(mu_);
  absl::Duration encode_time_ ABSL_GUARDED_BY(mu_);  // Of images only.
};

}  // namespace ddgan

#endif  // DDGAN_SERVER_CALLS_GENERATION_CALL_H_
