// All images in flight, from all callers: a bounded queue that hands each lane
// its next batch and takes what came of it.
#ifndef DDGAN_ENGINE_SCHEDULING_BATCH_SCHEDULER_H_
#define DDGAN_ENGINE_SCHEDULING_BATCH_SCHEDULER_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "engine/api/engine.h"
#include "engine/api/engine_observer.h"
#include "engine/api/generation.h"
#include "engine/base/clock.h"
#include "engine/lanes/batch_runner.h"
#include "engine/scheduling/batch_policy.h"
#include "engine/scheduling/deadline_policy.h"
#include "engine/scheduling/lane_health.h"
#include "engine/scheduling/result_outbox.h"
#include "engine/scheduling/servable_version.h"

namespace ddgan {

// What a lane does next. Filled by NextBatch and reused from tick to tick.
struct LaneBatch {
  // Trajectories that will not go on; tell the runner before it runs `rows`.
  std::vector<TrajectoryId> forget;
  // May be empty: then there is nothing to run, and no FinishBatch follows.
  std::vector<StepRow> rows;
  // What all rows belong to; null if there are none.
  std::shared_ptr<const ServableVersion> version;
};

// Thread-safe. Callers submit and cancel from any thread; each lane's thread
// alternates NextBatch and FinishBatch. Observer and sinks are called without
// the lock held: by the lanes' threads, and for what Drain or Stop ends by the
// thread that called it.
//
// A trajectory stays on the lane that ran its first step, where its x_t is; if
// that lane is lost, it starts again on another, to the same bytes. A request
// that is cancelled or expires leaves at the next tick of any lane; an idle
// lane wakes for it.
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
  // not outlive the scheduler.
  class Place final : public Reservation {
   public:
    ~Place() override;

    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;

    const ServableVersion& version() const { return *version_; }
    const GenerationRequest& request() const { return request_; }

   private:
    friend class BatchScheduler;

    Place(BatchScheduler* scheduler,
          std::shared_ptr<const ServableVersion> version,
          GenerationRequest request)
        : scheduler_(scheduler),
          version_(std::move(version)),
          request_(std::move(request)) {}

    BatchScheduler* const scheduler_;
    std::shared_ptr<const ServableVersion> version_;
    GenerationRequest request_;
    uint64_t number_ = 0;  // In reserved_.
  };

  // `observer` and `clock` must outlive the scheduler.
  BatchScheduler(const Options& options, EngineObserver* observer,
                 Clock* clock);
  // The lanes' threads must have ended.
  ~BatchScheduler();

  BatchScheduler(const BatchScheduler&) = delete;
  BatchScheduler& operator=(const BatchScheduler&) = delete;

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

  // The request's sink gets Cancelled at the next tick. Unknown ids are
  // ignored.
  void Cancel(RequestId id);

  // As Engine::Drain. Returns when every sink has got OnFinished, even if a
  // lane is still busy with a step.
  void Drain(absl::Time deadline);
  // True from Drain or Stop on.
  bool draining() const;

  // Drains with a deadline of now and sends the lanes home. Idempotent.
  void Stop();

  // Blocks until there is something for `lane` to run or forget, or Interrupt.
  // False: stopped, the lane's thread should end.
  bool NextBatch(size_t lane, LaneBatch* batch);

  // What came of `lane`'s last batch, whose rows were not empty, and what
  // becomes of the lane (lane_health.h). Takes the pixels out of `outcome`. No
  // request ends because a step failed:
  //   kRetrySmaller  the rows run again on this lane, in smaller batches
  //   kTakeOut       whatever the lane holds starts again elsewhere. The caller
  //                  gives up its runner and calls AwaitRetry.
  // Only a trajectory that loses kMaxAttempts batches takes its request with
  // it: Internal, or ResourceExhausted if that is what it was. After the first
  // it runs with no other row beside it at the step that failed, after the
  // second at every step, so that it is not ended for a neighbour's sake.
  LaneHealth::Action FinishBatch(size_t lane,
                                 absl::StatusOr<StepOutcome*> outcome);
  static constexpr int kMaxAttempts = 3;

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

 private:
  struct Request;

  struct Trajectory {
    enum class State {
      kQueued,   // Waits for its first step.
      kReady,    // Between two steps.
      kRunning,  // In a lane's current batch.
      kDone,     // Delivered or dropped.
    };

    Request* request = nullptr;
    TrajectoryId id = 0;
    uint32_t image_index = 0;
    int step = 0;  // The t that runs next or now; T - 1 - step steps were run.
    size_t lane = 0;       // Meaningful once it has started.
    int attempts = 0;      // Steps of it that failed.
    int failed_step = -1;  // The t of the last of them.
    State state = State::kQueued;
  };

  struct Request {
    RequestId id = 0;
    std::shared_ptr<const ServableVersion> version;
    size_t version_slot = 0;
    size_t flow = 0;
    int first_step = 0;  // The t of a trajectory's first step.
    int64_t bytes = 0;   // What it counts against max_queued_bytes.
    std::shared_ptr<const std::vector<float>> guide;
    bool previews = false;
    uint64_t seed = 0;
    PixelFormat pixel_format = PixelFormat::kUint8;
    absl::Time accepted_at;
    absl::Time deadline;
    absl::Time steps_deadline;  // StepsDeadline, or InfiniteFuture.
    absl::Time started_at = absl::InfiniteFuture();  // Of its first step.
    bool cancelled = false;
    // OnFinished has been posted; rows that still run are waste.
    bool ended = false;
    WasteReason waste_reason = WasteReason::kCancelled;  // If ended early.
    bool urgent = false;     // As of the lane's last look at deadlines.
    size_t unfinished = 0;   // Trajectories that are not kDone.
    int64_t steps_left = 0;  // Of all of them.
    std::vector<Trajectory> trajectories;
    std::shared_ptr<ResultOutbox> outbox;
  };

  // What a Place that was not submitted holds.
  struct Room {
    std::shared_ptr<const ServableVersion> version;
    int images = 0;
    int64_t bytes = 0;
    int first_step = 0;
    absl::Time steps_deadline;
  };

  // A request or a Place that has a deadline, as admission sees it.
  struct DeadlineClaim {
    absl::Time steps_deadline;
    uint64_t order = 0;  // Among equal deadlines.
    const ServableVersion* version = nullptr;
    int64_t steps_left = 0;
    int longest = 0;             // Steps that its last image still needs.
    Request* request = nullptr;  // Null: a Place.
  };

  // A version with work. Slots are reused, so that they stay few and small
  // numbers for the policy.
  struct VersionSlot {
    std::shared_ptr<const ServableVersion> version;  // Null: free.
    size_t requests = 0;
  };

  // A caller within a class, beside its FlowShare at the same index.
  struct Flow {
    std::string caller;
    size_t requests = 0;
  };

  // What to tell the world once the lock is released.
  struct Report {
    std::vector<
        std::pair<std::shared_ptr<const ServableVersion>, absl::Duration>>
        queue_waits;
    std::vector<std::pair<std::shared_ptr<const ServableVersion>, int>> images;
    std::array<int, kNumWasteReasons> wasted_steps = {};  // By WasteReason.
    std::vector<std::shared_ptr<ResultOutbox>> outboxes;
    bool queue_changed = false;

    void AddOutbox(const std::shared_ptr<ResultOutbox>& outbox);
    void Clear();
  };

  // Memory that a lane's ticks reuse, and what it is doing.
  struct Lane {
    explicit Lane(const BatchLimits& limits)
        : limits(limits), health(limits.max_batch_size) {}

    BatchLimits limits;
    LaneHealth health;
    bool up = true;
    bool idle = false;                 // Waits in NextBatch.
    absl::Time retry_at;               // Unless up.
    std::vector<Trajectory*> running;  // In order of the batch's rows.
    std::vector<TrajectoryId> forget;
    bool interrupted = false;
    std::vector<Trajectory*> candidates;
    std::vector<RunnableTrajectory> runnable;  // Of candidates, same order.
    BatchDecision decision;
    std::vector<RequestId> touched;  // Requests with rows in the batch.
    std::vector<int> steps;          // Of the batch's rows.
    // Of the call that the lane's thread is in; used by that alone, with and
    // without the lock. Empty between calls.
    std::unique_ptr<Report> report = std::make_unique<Report>();
  };

  using RequestMap = std::map<RequestId, Request>;

  size_t SlotOf(const std::shared_ptr<const ServableVersion>& version)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool IsSameModel(size_t a, size_t b) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Its caller's share.
  double WeightOf(const GenerationRequest& request) const;
  // Where the request belongs, counted in; LeaveFlow takes it out.
  size_t FlowOf(const GenerationRequest& request)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void LeaveFlow(size_t flow) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // OK if there is room for the request, a lane that could run it, and time.
  absl::Status CheckAdmission(const ServableVersion& version,
                              const GenerationRequest& request, int first_step,
                              int64_t bytes, absl::Time now,
                              RefusalReason* reason)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // OK unless the request comes too late or during a drain.
  absl::Status CheckOpen(absl::Time deadline, absl::Time now,
                         RefusalReason* reason) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void GiveBack(uint64_t number) ABSL_LOCKS_EXCLUDED(mu_);
  // Images that count: those of requests and those of places.
  int Places() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Lanes that take work, at least 1, and the rows that they take in a tick.
  int LanesUp() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  int RowsPerTick() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // What a step of the batch that forms with `images` unfinished takes. Nothing
  // while the version's cost is unknown.
  std::optional<absl::Duration> TickTime(const ServableVersion& version,
                                         int images) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  std::optional<absl::Duration> ExpectedStart(
      const ServableVersion& version) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // When `count` more images may find room.
  absl::Duration RetryAfterFull(const ServableVersion& version,
                                uint32_t count) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Those of requests and places, earliest first, into deadline_work_; what
  // they are of into deadline_claims_. Returns the longest that the
  // tick under way may take, be it of a model without deadlines.
  absl::Duration CollectDeadlines() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void MarkUrgent(absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Ends what was cancelled or has expired, and everything after an outage that
  // is too long; when to look again at the latest.
  absl::Time SweepRequests(absl::Time now, Report* report)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  static bool AnyRowFailedForGood(const Request& request);
  static bool RunsAlone(const Trajectory& trajectory);
  // A row whose step failed has not moved.
  void PutBack(Trajectory& trajectory) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Everything on the lane starts again elsewhere.
  void TakeOut(size_t lane, absl::Time now, Report* report)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Fills lane.decision and the rows of `batch`.
  void ChooseRows(size_t lane, absl::Time now, LaneBatch* batch, Report* report)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Moves the rows of a step that went well one step on.
  void AdvanceRows(const std::vector<Trajectory*>& rows, StepOutcome& outcome,
                   Report* report) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The trajectory gives up its place.
  void Retire(Trajectory& trajectory) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Retires a trajectory that is not running and leaves without an image; what
  // it ran is waste.
  void Drop(Trajectory& trajectory, WasteReason reason, Report* report)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Nothing more goes to the request's sink after this.
  void PostFinish(Request& request, const absl::Status& status, absl::Time now,
                  Report* report) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Ends a request early: drops every trajectory that does not run just now;
  // those that do follow when their step ends.
  void EndEarly(Request& request, const absl::Status& status,
                WasteReason reason, absl::Time now, Report* report)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Removes a request of which nothing is left.
  RequestMap::iterator EraseIfDone(RequestMap::iterator it)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Time OldestQueuedSince() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // Observer first, sinks last: who was told that a request has finished finds
  // it in the metrics.
  void Emit(Report* report) ABSL_LOCKS_EXCLUDED(mu_);
  void ReportQueueState() ABSL_LOCKS_EXCLUDED(mu_);

  // Constant after construction.
  const Options options_;
  EngineObserver* const observer_;
  Clock* const clock_;

  mutable absl::Mutex mu_;
  absl::CondVar work_;          // Something for lanes to look at.
  absl::CondVar all_finished_;  // undelivered_ has become 0.
  // In order of acceptance, since ids grow.
  RequestMap requests_ ABSL_GUARDED_BY(mu_);
  std::vector<VersionSlot> slots_ ABSL_GUARDED_BY(mu_);
  // By flow index. A flow without requests stays while it owes service.
  std::vector<Flow> flows_ ABSL_GUARDED_BY(mu_);
  Shares shares_ ABSL_GUARDED_BY(mu_);
  std::map<std::pair<RequestClass, std::string>, size_t> flow_index_
      ABSL_GUARDED_BY(mu_);
  // By slot: turn_ at its model's last batch, or when it first got work.
  std::vector<uint64_t> last_turn_ ABSL_GUARDED_BY(mu_);
  uint64_t turn_ ABSL_GUARDED_BY(mu_) = 0;  // Batches handed out.
  std::vector<Lane> lanes_ ABSL_GUARDED_BY(mu_);
  std::map<uint64_t, Room> reserved_ ABSL_GUARDED_BY(mu_);
  uint64_t next_place_ ABSL_GUARDED_BY(mu_) = 1;
  RequestId next_request_id_ ABSL_GUARDED_BY(mu_) = 1;
  TrajectoryId next_trajectory_id_ ABSL_GUARDED_BY(mu_) = 1;
  int queued_images_ ABSL_GUARDED_BY(mu_) = 0;     // kQueued
  int inflight_images_ ABSL_GUARDED_BY(mu_) = 0;   // kReady and kRunning
  int reserved_images_ ABSL_GUARDED_BY(mu_) = 0;   // Of reserved_.
  int64_t queued_bytes_ ABSL_GUARDED_BY(mu_) = 0;  // Of requests_, reserved_.
  absl::Time all_down_since_ ABSL_GUARDED_BY(mu_) = absl::InfiniteFuture();
  // Memory of ChooseRows.
  std::vector<RequestShare> request_shares_ ABSL_GUARDED_BY(mu_);
  std::vector<size_t> share_order_ ABSL_GUARDED_BY(mu_);
  // Memory of CollectDeadlines.
  std::vector<DeadlineWork> deadline_work_ ABSL_GUARDED_BY(mu_);
  std::vector<DeadlineClaim> deadline_claims_ ABSL_GUARDED_BY(mu_);
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
