// All images in flight, from all callers: a bounded queue that hands each lane
// its next batch and takes what came of it.
#ifndef DDGAN_ENGINE_SCHEDULING_BATCH_SCHEDULER_H_
#define DDGAN_ENGINE_SCHEDULING_BATCH_SCHEDULER_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "engine/api/engine.h"
#include "engine/api/engine_observer.h"
#include "engine/api/generation.h"
#include "engine/base/clock.h"
#include "engine/lanes/batch_runner.h"
#include "engine/requests/admission.h"
#include "engine/requests/servable_version.h"
#include "engine/scheduling/batch_policy.h"
#include "engine/scheduling/lane_batch.h"
#include "engine/scheduling/lane_health.h"
#include "engine/scheduling/scheduler_report.h"
#include "engine/scheduling/work_in_flight.h"

namespace ddgan {

// The monitor around WorkInFlight: one mutex, who waits for what, and what is
// told once the mutex is released. Thread-safe. Callers reserve, submit and
// cancel from any thread; each lane's thread alternates NextBatch and
// FinishBatch; a supervisor, which is no lane, alternates Sweep and AwaitSweep.
// Observer and sinks are called without the lock held, by whichever of these
// threads made the change.
//
// A trajectory stays on the lane that ran its first step, where its x_t is; if
// that lane is taken out, it starts again on another, to the same bytes. A
// request that is cancelled or expires leaves at the next sweep, or at the next
// tick of any lane, whichever is first.
class BatchScheduler {
 public:
  struct Options {
    // One for each lane.
    std::vector<BatchLimits> lane_limits = {BatchLimits()};
    // Images accepted and not finished, and what they and their results take.
    int max_queued_images = 1024;
    int64_t max_queued_bytes = int64_t{1} << 30;
    // Shares of callers; who is not named has weight 1. > 0
    std::map<std::string, double> caller_weights;
    // Requests wait for so long while every lane is out; then they and new ones
    // get Unavailable.
    absl::Duration outage_limit = absl::Seconds(10);
  };

  // Room for a request, held from Reserve to Submit: its images, its bytes and
  // its time before its deadline count as those of a request that waits, but
  // nothing runs. The destructor gives the room back. Thread-compatible; must
  // not outlive the scheduler, but may outlive Stop.
  class Place final : public Reservation {
   public:
    ~Place() override;

    std::unique_ptr<Reservation> Take(
        absl::Span<const uint32_t> positions) override;

    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;

    const ServableVersion& version() const { return *claim_.version; }
    const GenerationRequest& request() const { return request_; }

   private:
    friend class BatchScheduler;

    Place(BatchScheduler* scheduler, GenerationRequest request, Claim claim);

    BatchScheduler* const scheduler_;
    const GenerationRequest request_;
    Claim claim_;
    // As QueuedRequest has them.
    std::vector<uint32_t> reserved_positions_;
    bool held_ = false;
  };

  // `observer` and `clock` must outlive the scheduler.
  BatchScheduler(const Options& options, EngineObserver* observer,
                 Clock* clock);
  // The lanes' threads must have ended.
  ~BatchScheduler();

  BatchScheduler(const BatchScheduler&) = delete;
  BatchScheduler& operator=(const BatchScheduler&) = delete;

  // For callers.

  // Takes room for `request`, which has been validated, on `version`. Errors as
  // Engine::Reserve: ResourceExhausted with a retry hint (retry_hint.h),
  // DeadlineExceeded, Unavailable.
  absl::StatusOr<std::unique_ptr<Place>> Reserve(
      std::shared_ptr<const ServableVersion> version,
      GenerationRequest request);
  // Queues the trajectories of the place's request. `guide` has the planes of
  // its guide if it has one, else it is null. DeadlineExceeded or Unavailable
  // as Engine::Submit. After an OK `sink` gets everything up to OnFinished.
  absl::StatusOr<Acceptance> Submit(
      std::unique_ptr<Place> place,
      std::shared_ptr<const std::vector<float>> guide,
      std::shared_ptr<GenerationSink> sink);
  // The request's sink gets Cancelled at the next sweep or tick. Unknown ids
  // are ignored.
  void Cancel(RequestId id);

  // As Engine::Drain. Returns when every sink has got OnFinished, even if a
  // lane is still busy with a step.
  void Drain(absl::Time deadline);
  // True from Drain or Stop on.
  bool draining() const;
  // Drains with a deadline of now and sends lanes and supervisor home.
  // Idempotent.
  void Stop();

  // For lanes.

  // Blocks until there is something for `lane`, which is not out, to run or
  // forget, or Interrupt. False: stopped, the lane's thread should end.
  bool NextBatch(size_t lane, LaneBatch* batch);
  // What came of `lane`'s last batch, whose rows were not empty, and what
  // becomes of the lane (lane_health.h). Takes the pixels out of `outcome`. No
  // request ends because a step failed:
  //   kRetrySmaller  the rows run again on this lane, in smaller batches
  //   kTakeOut       whatever the lane holds starts again elsewhere. The caller
  //                  gives up its runner and calls AwaitRetry.
  //   kProbe         as kGoOn, and the caller probes its runner with images
  //                  that are known to be good; ProbeFailed if they fail.
  // Only a trajectory that fails in kMaxAttempts batches takes its request with
  // it: Internal, or ResourceExhausted if that is what it was. After the first
  // it runs with no other row beside it at the step that failed, after the
  // second at every step, so that it is not ended for a neighbour's sake. A row
  // that is not finite ends its own request with Internal, and no other.
  LaneHealth::Action FinishBatch(size_t lane,
                                 absl::StatusOr<StepOutcome*> outcome);
  static constexpr int kMaxAttempts = Trajectory::kMaxAttempts;
  // The lane is taken out, as after kTakeOut. Called between two batches.
  void ProbeFailed(size_t lane, const absl::Status& cause);

  // For a lane that was taken out: blocks until it may try again. False:
  // stopped. Then one of the following.
  bool AwaitRetry(size_t lane);
  void ReturnLane(size_t lane);
  void LaneCreationFailed(size_t lane);

  // The largest batch that the lane takes now.
  int max_batch_size(size_t lane) const;
  // Whether a lane takes work; whether this one waits for some.
  bool AnyLaneUp() const;
  bool idle(size_t lane) const;
  // Makes the lane's NextBatch return once even if there is nothing to do.
  void Interrupt(size_t lane);

  // For the supervisor.

  // Ends what was cancelled or has expired, and everything once every lane has
  // been out for outage_limit. Returns when to look again at the latest;
  // InfiniteFuture if nothing in flight is timed.
  absl::Time Sweep();
  // Blocks until there may be something new for Sweep (a cancellation, an
  // earlier deadline, a lane that went out or came back) or `until`. False:
  // stopped.
  bool AwaitSweep(absl::Time until);

  // The lane's thread is in a call that does not return. Everything that the
  // lane holds starts again elsewhere at once, the rows of its batch with one
  // attempt less, and the lane is out. Should the thread come back after all,
  // its FinishBatch changes nothing and says kTakeOut; from any other call it
  // goes on with AwaitRetry, without another NextBatch. No effect on a lane
  // that is out already.
  void AbandonLane(size_t lane);

 private:
  EngineLoad Load() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  std::optional<Refusal> CheckAdmission(const Claim& claim, absl::Time now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Reports the refusal. Its status.
  absl::Status Refuse(const Refusal& refusal) ABSL_LOCKS_EXCLUDED(mu_);
  void GiveBack(const Claim& claim) ABSL_LOCKS_EXCLUDED(mu_);
  // Place::Take.
  std::unique_ptr<Place> TakeFrom(Place* place,
                                  absl::Span<const uint32_t> positions)
      ABSL_LOCKS_EXCLUDED(mu_);
  // Sweeps until there is nothing to tell; releases the lock while it tells.
  // Returns when to sweep again.
  absl::Time SweepAndTell(SchedulerReport* report)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void WakeSupervisor() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // Observer first, sinks last: who was told that a request has finished finds
  // it in the metrics.
  void Emit(SchedulerReport* report) ABSL_LOCKS_EXCLUDED(mu_);
  void ReportQueueState() ABSL_LOCKS_EXCLUDED(mu_);

  // Constant after construction.
  const Options options_;
  EngineObserver* const observer_;
  Clock* const clock_;

  mutable absl::Mutex mu_;
  absl::CondVar lane_news_;        // Something for lanes to look at.
  absl::CondVar supervisor_news_;  // sweep_due_ or stopped_ was set.
  absl::CondVar all_finished_;     // undelivered_ has become 0.
  WorkInFlight work_ ABSL_GUARDED_BY(mu_);
  bool sweep_due_ ABSL_GUARDED_BY(mu_) = false;
  // What the last Sweep returned.
  absl::Time next_sweep_ ABSL_GUARDED_BY(mu_) = absl::InfiniteFuture();
  // Requests whose sink has not returned from OnFinished.
  int undelivered_ ABSL_GUARDED_BY(mu_) = 0;
  bool draining_ ABSL_GUARDED_BY(mu_) = false;
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
  // One thread at a time reports the queue's state, so that an old state never
  // overwrites a newer one.
  bool reporting_ ABSL_GUARDED_BY(mu_) = false;
  bool report_again_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace ddgan

#endif  // DDGAN_ENGINE_SCHEDULING_BATCH_SCHEDULER_H_
