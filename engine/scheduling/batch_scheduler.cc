#include "engine/scheduling/batch_scheduler.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace ddgan {

BatchScheduler::Place::Place(BatchScheduler* scheduler,
                             GenerationRequest request, Claim claim)
    : scheduler_(scheduler),
      request_(std::move(request)),
      claim_(std::move(claim)),
      reserved_positions_(request_.count) {
  std::iota(reserved_positions_.begin(), reserved_positions_.end(),
            uint32_t{0});
}

BatchScheduler::Place::~Place() {
  if (held_) scheduler_->GiveBack(claim_);
}

std::unique_ptr<Reservation> BatchScheduler::Place::Take(
    absl::Span<const uint32_t> positions) {
  return scheduler_->TakeFrom(this, positions);
}

BatchScheduler::BatchScheduler(const Options& options, EngineObserver* observer,
                               Clock* clock)
    : options_(options),
      observer_(observer),
      clock_(clock),
      work_(options.lane_limits, options.caller_weights) {}

BatchScheduler::~BatchScheduler() { Stop(); }

absl::StatusOr<std::unique_ptr<BatchScheduler::Place>> BatchScheduler::Reserve(
    std::shared_ptr<const ServableVersion> version, GenerationRequest request) {
  const absl::Time now = clock_->Now();
  Claim claim = ClaimOf(request, std::move(version), now);
  auto place = std::unique_ptr<Place>(
      new Place(this, std::move(request), std::move(claim)));
  std::optional<Refusal> refusal;
  {
    absl::MutexLock lock(&mu_);
    refusal = CheckAdmission(place->claim_, now);
    if (!refusal) {
      work_.queue().Hold(&place->claim_);
      place->held_ = true;
    }
  }
  if (refusal) return Refuse(*refusal);
  return place;
}

void BatchScheduler::GiveBack(const Claim& claim) {
  absl::MutexLock lock(&mu_);
  work_.queue().GiveBack(&claim);
}

std::unique_ptr<BatchScheduler::Place> BatchScheduler::TakeFrom(
    Place* place, absl::Span<const uint32_t> positions) {
  GenerationRequest request = place->request_;
  request.count = static_cast<uint32_t>(positions.size());
  request.noise.clear();
  for (const uint32_t position : positions) {
    request.noise.push_back(place->request_.NoiseOf(position));
  }
  auto taken = std::unique_ptr<Place>(
      new Place(this, std::move(request), place->claim_));
  for (size_t i = 0; i < positions.size(); ++i) {
    taken->reserved_positions_[i] = place->reserved_positions_[positions[i]];
  }
  absl::MutexLock lock(&mu_);
  RequestQueue& queue = work_.queue();
  queue.GiveBack(&place->claim_);
  taken->claim_ =
      TakeImages(static_cast<int>(positions.size()), &place->claim_);
  queue.Hold(&taken->claim_);
  taken->held_ = true;
  place->held_ = place->claim_.images > 0;
  if (place->held_) queue.Hold(&place->claim_);
  return taken;
}

absl::StatusOr<Acceptance> BatchScheduler::Submit(
    std::unique_ptr<Place> place,
    std::shared_ptr<const std::vector<float>> guide,
    std::shared_ptr<GenerationSink> sink) {
  const GenerationRequest& request = place->request_;
  const Claim& claim = place->claim_;
  const ServableVersion& version = *claim.version;
  Acceptance acceptance;
  acceptance.identity = version.identity;
  acceptance.shape = version.shape;
  acceptance.num_timesteps = version.num_timesteps;
  acceptance.evaluations = version.evaluations;
  QueuedRequest added;
  added.version = claim.version;
  added.first_step = claim.first_step;
  // The picture has become the guide's planes.
  added.bytes =
      claim.bytes - (request.guide
                         ? static_cast<int64_t>(request.guide->picture.numel())
                         : 0);
  added.guide = std::move(guide);
  added.previews = request.previews;
  added.trace_tag = request.trace_tag;
  added.reserved_positions = std::move(place->reserved_positions_);
  added.pixel_format = request.pixel_format;
  added.deadline = claim.deadline;
  added.steps_deadline = claim.steps_deadline;
  added.outbox = std::make_shared<ResultOutbox>(std::move(sink), request.count);
  std::optional<Refusal> refusal;
  {
    absl::MutexLock lock(&mu_);
    const absl::Time now = clock_->Now();
    refusal = CheckOpen(Load(), claim.deadline, now);
    if (!refusal) {
      RequestQueue& queue = work_.queue();
      queue.GiveBack(&claim);
      place->held_ = false;
      acceptance.images_ahead = queue.queued_images();
      acceptance.expected_start =
          ExpectedStart(version, work_.lanes().capacity(), queue.images());
      added.accepted_at = now;
      acceptance.id = work_.Add(std::move(added), request).id;
      ++undelivered_;
      lane_news_.SignalAll();
      if (claim.deadline < next_sweep_) WakeSupervisor();
    }
  }
  if (refusal) return Refuse(*refusal);
  ReportQueueState();
  return acceptance;
}

EngineLoad BatchScheduler::Load() const {
  return {.draining = draining_,
          .all_down_since = work_.lanes().all_down_since(),
          .outage_limit = options_.outage_limit,
          .capacity = work_.lanes().capacity(),
          .images = work_.queue().images(),
          .max_images = options_.max_queued_images,
          .bytes = work_.queue().bytes(),
          .max_bytes = options_.max_queued_bytes,
          .own = {}};
}

std::optional<Refusal> BatchScheduler::CheckAdmission(const Claim& claim,
                                                      absl::Time now) {
  EngineLoad load = Load();
  load.own = work_.queue().ShareOf(claim.account);
  std::optional<Refusal> refusal = CheckOpen(load, claim.deadline, now);
  if (!refusal) refusal = CheckRoom(load, claim);
  if (refusal || claim.deadline == absl::InfiniteFuture()) return refusal;
  return work_.CheckDeadlineOf(load, claim, now);
}

absl::Status BatchScheduler::Refuse(const Refusal& refusal) {
  observer_->OnRefused(refusal.reason);
  return refusal.status;
}

void BatchScheduler::Cancel(RequestId id) {
  absl::MutexLock lock(&mu_);
  if (!work_.Cancel(id)) return;
  lane_news_.SignalAll();
  WakeSupervisor();
}

void BatchScheduler::Drain(absl::Time deadline) {
  SchedulerReport report;
  {
    absl::MutexLock lock(&mu_);
    draining_ = true;
    while (undelivered_ > 0 &&
           !clock_->WaitUntil(&all_finished_, &mu_, deadline)) {
    }
    work_.EndAll(absl::UnavailableError("the engine was shut down before the "
                                        "request had finished"),
                 WasteReason::kShutdown, clock_->Now(), &report);
  }
  Emit(&report);
  // Another thread may be delivering what finished just before.
  absl::MutexLock lock(&mu_);
  while (undelivered_ > 0) all_finished_.Wait(&mu_);
}

bool BatchScheduler::draining() const {
  absl::MutexLock lock(&mu_);
  return draining_;
}

void BatchScheduler::Stop() {
  Drain(absl::InfinitePast());
  absl::MutexLock lock(&mu_);
  stopped_ = true;
  lane_news_.SignalAll();
  supervisor_news_.SignalAll();
}

bool BatchScheduler::NextBatch(size_t lane, LaneBatch* batch) {
  batch->Clear();
  mu_.Lock();
  LaneState& self = work_.lanes()[lane];
  SchedulerReport& report = *self.report;
  while (true) {
    const absl::Time next_sweep = SweepAndTell(&report);
    const absl::Time now = clock_->Now();
    if (stopped_) {
      mu_.Unlock();
      return false;
    }
    const absl::Time ask_again = work_.ChooseRows(lane, now, batch, &report);
    if (!batch->rows.empty() || !self.forget.empty() || self.interrupted) break;
    self.idle = true;
    clock_->WaitUntil(&lane_news_, &mu_, std::min(ask_again, next_sweep));
    self.idle = false;
  }
  self.interrupted = false;
  batch->forget.swap(self.forget);
  mu_.Unlock();
  Emit(&report);
  return true;
}

LaneHealth::Action BatchScheduler::FinishBatch(
    size_t lane, absl::StatusOr<StepOutcome*> outcome) {
  SchedulerReport* report = nullptr;
  LaneHealth::Action action = LaneHealth::Action::kTakeOut;
  {
    absl::MutexLock lock(&mu_);
    const absl::Time now = clock_->Now();
    const LaneState& self = work_.lanes()[lane];
    report = self.report.get();
    if (self.up) {
      action = work_.FinishStep(lane, outcome, now, report);
      if (!self.up) WakeSupervisor();
    } else {
      // Its rows were given to other lanes, so the step was for nothing.
      if (outcome.ok()) {
        report->AddWaste(WasteReason::kReplayed, self.hung_rows);
      }
      work_.lanes().OnThreadBack(lane, now);
    }
  }
  Emit(report);
  return action;
}

void BatchScheduler::ProbeFailed(size_t lane, const absl::Status& cause) {
  SchedulerReport* report = nullptr;
  {
    absl::MutexLock lock(&mu_);
    LaneState& self = work_.lanes()[lane];
    report = self.report.get();
    self.health.GrowBackoff();
    work_.TakeOutLane(lane, cause, clock_->Now(), report);
    WakeSupervisor();
  }
  Emit(report);
}

void BatchScheduler::AbandonLane(size_t lane) {
  SchedulerReport report;
  {
    absl::MutexLock lock(&mu_);
    const absl::Time now = clock_->Now();
    LaneState& self = work_.lanes()[lane];
    if (!self.up) return;
    self.hung_rows = static_cast<int>(self.running.size());
    self.health.GrowBackoff();
    work_.TakeOutLane(lane,
                      absl::DeadlineExceededError("the device did not answer"),
                      now, &report);
    WakeSupervisor();
  }
  Emit(&report);
}

bool BatchScheduler::AwaitRetry(size_t lane) {
  absl::MutexLock lock(&mu_);
  const LaneState& self = work_.lanes()[lane];
  while (true) {
    const absl::Time next_sweep = SweepAndTell(self.report.get());
    if (stopped_) return false;
    if (self.retry_at <= clock_->Now()) return true;
    clock_->WaitUntil(&lane_news_, &mu_, std::min(self.retry_at, next_sweep));
  }
}

void BatchScheduler::ReturnLane(size_t lane) {
  absl::MutexLock lock(&mu_);
  work_.lanes().Return(lane);
  WakeSupervisor();
}

void BatchScheduler::LaneCreationFailed(size_t lane) {
  absl::MutexLock lock(&mu_);
  work_.lanes().OnCreationFailed(lane, clock_->Now());
}

int BatchScheduler::max_batch_size(size_t lane) const {
  absl::MutexLock lock(&mu_);
  return work_.lanes()[lane].health.max_batch_size();
}

bool BatchScheduler::AnyLaneUp() const {
  absl::MutexLock lock(&mu_);
  return work_.lanes().all_down_since() == absl::InfiniteFuture();
}

bool BatchScheduler::idle(size_t lane) const {
  absl::MutexLock lock(&mu_);
  return work_.lanes()[lane].idle;
}

void BatchScheduler::Interrupt(size_t lane) {
  absl::MutexLock lock(&mu_);
  work_.lanes()[lane].interrupted = true;
  lane_news_.SignalAll();
}

absl::Time BatchScheduler::Sweep() {
  SchedulerReport report;
  absl::MutexLock lock(&mu_);
  sweep_due_ = false;
  next_sweep_ = SweepAndTell(&report);
  return next_sweep_;
}

bool BatchScheduler::AwaitSweep(absl::Time until) {
  absl::MutexLock lock(&mu_);
  while (!stopped_ && !sweep_due_ &&
         !clock_->WaitUntil(&supervisor_news_, &mu_, until)) {
  }
  return !stopped_;
}

absl::Time BatchScheduler::SweepAndTell(SchedulerReport* report) {
  while (true) {
    const absl::Time next =
        work_.Sweep(clock_->Now(), options_.outage_limit, report);
    if (report->outboxes.empty()) return next;
    mu_.Unlock();
    Emit(report);
    mu_.Lock();  // Meanwhile the world has moved on.
  }
}

void BatchScheduler::WakeSupervisor() {
  sweep_due_ = true;
  supervisor_news_.SignalAll();
}

void BatchScheduler::Emit(SchedulerReport* report) {
  if (report->wake_lanes) lane_news_.SignalAll();
  report->Tell(*observer_);
  if (report->queue_changed) ReportQueueState();
  const int delivered = report->Deliver();
  report->Clear();
  if (delivered == 0) return;
  absl::MutexLock lock(&mu_);
  undelivered_ -= delivered;
  if (undelivered_ == 0) all_finished_.SignalAll();
}

void BatchScheduler::ReportQueueState() {
  mu_.Lock();
  if (reporting_) {
    report_again_ = true;
    mu_.Unlock();
    return;
  }
  reporting_ = true;
  do {
    report_again_ = false;
    const int queued = work_.queue().queued_images();
    const int inflight = work_.queue().inflight_images();
    const OldestQueued oldest = work_.queue().Oldest();
    mu_.Unlock();
    observer_->OnQueueState(queued, inflight, oldest);
    mu_.Lock();
  } while (report_again_);
  reporting_ = false;
  mu_.Unlock();
}

}  // namespace ddgan
