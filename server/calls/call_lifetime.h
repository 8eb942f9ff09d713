// An admitted call from its submission to its last image, and how it went. No
// gRPC: what a call is to its caller is in generation_call.h.
#ifndef DDGAN_SERVER_CALLS_CALL_LIFETIME_H_
#define DDGAN_SERVER_CALLS_CALL_LIFETIME_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "ddgan/v1/image_generation.pb.h"
#include "engine/api/engine.h"
#include "engine/api/generation.h"
#include "server/calls/call_admission.h"
#include "server/calls/call_observer.h"
#include "server/calls/call_timeline.h"
#include "server/calls/encode_pool.h"
#include "server/calls/image_cache.h"
#include "server/calls/image_key.h"
#include "server/connections/deadline_timer.h"

namespace ddgan {

// Thread-safe: gRPC threads, the guide decoder's, lanes and encoder threads all
// call it, and none of them waits in it.
//
// The generation has ended when nothing is pending any more: the submission,
// the engine's OnFinished and each encoding count as one each, and whoever
// brings the count to zero calls HandleEnd, once.
//
// Where images are kept, each image is asked for in the cache first. What is
// kept is sent, what is on its way for another call is waited for, and only the
// rest is submitted. An image that is waited for counts as pending too, and has
// its place in the engine all the time: should the other call not make it, this
// one submits it with its own deadline and class. A call that wants previews
// asks for nothing, since only steps make them; its images are kept all the
// same.
class CallLifetime : public GenerationSink,
                     public ImageCache::Asker,
                     public std::enable_shared_from_this<CallLifetime> {
 public:
  // Must outlive the call.
  struct Parts {
    Engine* engine = nullptr;
    EncodePool* encode_pool = nullptr;
    CallObserver* metrics = nullptr;
    ImageCache* cache = nullptr;     // Null: no image is kept.
    DeadlineTimer* timer = nullptr;  // Not null where images are kept.
  };

  // GenerationSink, on a lane's thread:
  void OnImage(GeneratedImage image) final ABSL_LOCKS_EXCLUDED(mu_);
  void OnPreview(GeneratedImage x0, int steps_left) final
      ABSL_LOCKS_EXCLUDED(mu_);
  void OnFinished(const absl::Status& status,
                  const GenerationTimings& timings) final
      ABSL_LOCKS_EXCLUDED(mu_);

  // ImageCache::Asker, on an encoder thread of any call:
  void OnImageMade(uint32_t position, ImageCache::Image image) final;
  void OnTakeOver(uint32_t position) final;

 protected:
  // The call came in at `arrived`. Times are of RealMonotonicClock().
  CallLifetime(const Parts& parts, absl::Time arrived, absl::Time deadline)
      : parts_(parts), arrived_(arrived), deadline_(deadline) {}

  // Takes the call's times from now on. Before anything is submitted; not
  // called, none is taken.
  void BeTimed(std::unique_ptr<CallTimer> timer) { timer_ = std::move(timer); }
  // Null if it is not timed.
  CallTimer* timer() const { return timer_.get(); }

  // The submission is three steps: Begin and EndSubmission once each, Submit in
  // between unless the call fails before. Until EndSubmission it counts as
  // pending.
  //
  // What was admitted; also as far as that came if the call is refused.
  void Begin(Admission admission) ABSL_LOCKS_EXCLUDED(mu_);
  // Submits the request, with its guide's picture if it has one, and the
  // SHA-256 of its PNG. A call that was cancelled before is cancelled in the
  // engine by it, or is Cancelled where images are kept. Else as
  // Engine::Submit.
  absl::Status Submit(std::unique_ptr<Reservation> place,
                      std::shared_ptr<const Picture> guide,
                      const std::string& guide_sha256 = "")
      ABSL_LOCKS_EXCLUDED(mu_);
  void EndSubmission(const absl::Status& status) ABSL_LOCKS_EXCLUDED(mu_);

  // The caller has left or is out of time: frees the request's places in the
  // engine. What is under way ends soon, and then the call.
  void Cancel() ABSL_LOCKS_EXCLUDED(mu_);

  // Keeps the first error, and has the engine drop what is left of the request.
  void Fail(const absl::Status& error) ABSL_LOCKS_EXCLUDED(mu_);

  // Whether nobody waits for images any more.
  bool abandoned() const ABSL_LOCKS_EXCLUDED(mu_);

  // Runs `work` on an encoder thread; the generation does not end before that
  // is done. No effect once it has ended.
  void RunOnEncoder(EncodePool::Task work) ABSL_LOCKS_EXCLUDED(mu_);

  // `image` in each of the request's formats; `preview_step` is the steps that
  // a preview's image has left, unset for an image that is done. For work that
  // RunOnEncoder runs. Internal if it cannot be encoded.
  absl::StatusOr<std::vector<std::string>> Encode(
      const GeneratedImage& image, std::optional<int> preview_step);

  // Gives back what is booked for the reply beyond `bytes`.
  void ShrinkReply(int64_t bytes) ABSL_LOCKS_EXCLUDED(mu_);
  // Gives back what was booked for one image, which is sent.
  void ForgetImage() ABSL_LOCKS_EXCLUDED(mu_);

  // From HandleEnd on: how it went. A call that is cancelled later turns from
  // OK to Cancelled, or to DeadlineExceeded if that was why. `unread`: it was
  // cancelled because its caller did not read in time.
  absl::Status Outcome(bool unread) const ABSL_LOCKS_EXCLUDED(mu_);

  struct Ending {
    absl::Status outcome;
    std::optional<Acceptance> acceptance;
    std::optional<GenerationTimings> timings;
    absl::Duration encode_time;
  };
  // From HandleEnd on, once: gives back the quota, and says how it went, as
  // Outcome does.
  Ending Settle(bool unread) ABSL_LOCKS_EXCLUDED(mu_);

  // From HandleEnd on.
  void FillTimings(v1::GenerateTimings* timings) const ABSL_LOCKS_EXCLUDED(mu_);

  // Known once begun, as far as the admission came.
  const ConvertedRequest& converted() const { return request_; }
  const ReplySize& reply_size() const { return reply_size_; }

  CallObserver& metrics() const { return *parts_.metrics; }
  absl::Time arrived() const { return arrived_; }
  absl::Time deadline() const { return deadline_; }

 private:
  // The engine took the request. On the submitting thread; images may have come
  // before.
  virtual void HandleAcceptance(const Acceptance& acceptance) = 0;
  // On an encoder thread. The image is there in each of the request's formats.
  virtual void HandleImage(uint32_t position,
                           std::vector<std::string> data) = 0;
  // On a lane's thread.
  virtual void HandlePreview(GeneratedImage /*x0*/, int /*t*/) {}
  // Nothing is pending any more. On any thread but a lane's.
  virtual void HandleEnd() = 0;

  // The engine's sink of some of the images.
  class Part;

  // What Ask found: the images that are there, and those for the engine.
  struct Shares {
    std::vector<std::pair<uint32_t, ImageCache::Image>> kept;
    std::vector<uint32_t> to_make;       // Positions.
    std::unique_ptr<Reservation> place;  // For them.
  };

  // Now, if the call is timed.
  std::optional<absl::Time> SubmissionTime() const;
  absl::StatusOr<Acceptance> SubmitToEngine(
      std::unique_ptr<Reservation> place, std::shared_ptr<const Picture> guide,
      std::shared_ptr<GenerationSink> sink) ABSL_LOCKS_EXCLUDED(mu_);
  absl::StatusOr<Acceptance> SubmitWhatIsNotKept(
      std::unique_ptr<Reservation> place, std::shared_ptr<const Picture> guide)
      ABSL_LOCKS_EXCLUDED(mu_);
  // Asks the cache for every image. Cancelled if nobody waits any more.
  absl::StatusOr<Shares> Ask(std::unique_ptr<Reservation> place,
                             const std::shared_ptr<const Picture>& guide)
      ABSL_LOCKS_EXCLUDED(mu_);
  // The image is there without the engine.
  void TakeImage(uint32_t position, const ImageCache::Image& image)
      ABSL_LOCKS_EXCLUDED(mu_);
  // The image is this call's to make from now on.
  void TakeOver(uint32_t position) ABSL_LOCKS_EXCLUDED(mu_);
  std::string KeyOf(uint32_t position) const {
    return keys_->Of(request_.generation.NoiseOf(position));
  }
  // The place of an image that was waited for; null if it was not.
  std::unique_ptr<Reservation> TakeJoined(uint32_t position)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Nobody waits for the images any more that are in the engine, or on their
  // way for other calls.
  void DropRest() ABSL_LOCKS_EXCLUDED(mu_);
  // Waiting for other calls ends with the deadline. The engine looks after it
  // for what it makes.
  void WatchDeadline() ABSL_LOCKS_EXCLUDED(mu_);
  void OnDeadline() ABSL_LOCKS_EXCLUDED(mu_);

  // OnFinished of the call's request or of a Part, and when that was submitted.
  void FinishRequest(const absl::Status& status,
                     const GenerationTimings& timings,
                     std::optional<absl::Time> submitted)
      ABSL_LOCKS_EXCLUDED(mu_);

  void EncodeImage(const GeneratedImage& image) ABSL_LOCKS_EXCLUDED(mu_);
  // As Encode, whose times are not taken.
  absl::StatusOr<std::vector<std::string>> EncodeForms(
      const GeneratedImage& image, std::optional<int> preview_step);
  // The same of one form, of 8-bit pixels.
  absl::StatusOr<std::string> EncodeAsPng(absl::Span<const uint8_t> pixels,
                                          const GeneratedImage& image,
                                          std::optional<int> preview_step);
  // One pending thing is done; the last one gives back the room at the encoders
  // and ends the generation.
  void Release() ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status OutcomeLocked(bool unread) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // Constant after construction.
  const Parts parts_;
  const absl::Time arrived_;
  const absl::Time deadline_;

  // Constant once anything is submitted.
  std::unique_ptr<CallTimer> timer_;

  // Constant once begun.
  ConvertedRequest request_;
  ReplySize reply_size_;
  std::optional<PngProvenance> provenance_;  // Set if it was admitted.
  Acceptance without_work_;                  // The same.

  // Constant once submitted. Unset: no image is kept.
  std::optional<ImageKeys> keys_;
  // Constant once submitted; set if the call is timed. Where its images are
  // divided, each Part has a time of its own.
  std::optional<absl::Time> submitted_;

  mutable absl::Mutex mu_;
  int pending_ ABSL_GUARDED_BY(mu_) = 1;     // The submission.
  absl::Status error_ ABSL_GUARDED_BY(mu_);  // The first one.
  bool cancelled_ ABSL_GUARDED_BY(mu_) = false;
  // Nobody waits for images: the caller left, is out of time, or gets an error
  // that has nothing to do with the engine.
  bool abandoned_ ABSL_GUARDED_BY(mu_) = false;
  std::optional<Acceptance> acceptance_ ABSL_GUARDED_BY(mu_);
  std::vector<RequestId> requests_ ABSL_GUARDED_BY(mu_);  // In the engine.
  // By position: images that this call has to publish or give up, and those
  // that it waits for.
  std::set<uint32_t> making_ ABSL_GUARDED_BY(mu_);
  std::set<uint32_t> joined_ ABSL_GUARDED_BY(mu_);
  // For all that is waited for: one place, so that the guide, which they share,
  // counts once. Both null once there is nothing.
  std::unique_ptr<Reservation> joined_place_ ABSL_GUARDED_BY(mu_);
  std::shared_ptr<const Picture> guide_ ABSL_GUARDED_BY(mu_);
  std::optional<DeadlineTimer::Key> alarm_ ABSL_GUARDED_BY(mu_);
  CallHoldings holdings_ ABSL_GUARDED_BY(mu_);
  // By position in the request: whether the image is encoded.
  std::vector<bool> encoded_ ABSL_GUARDED_BY(mu_);
  std::optional<GenerationTimings> timings_ ABSL_GUARDED_BY(mu_);
  absl::Duration encode_time_ ABSL_GUARDED_BY(mu_);  // Of images only.
};

}  // namespace ddgan

#endif  // DDGAN_SERVER_CALLS_CALL_LIFETIME_H_
