#include "engine/lane_threads/lane_worker.h"

#include "absl/container/inlined_vector.h"
#include "absl/strings/str_cat.h"

namespace ddgan {
namespace {

// How often AwaitEnd looks at a thread that is between two activities.
constexpr absl::Duration kEndPoll = absl::Seconds(1);

// Why a lane that hung gives up its runner.
absl::Status CameBack() {
  return absl::UnavailableError("the device hung and came back");
}

}  // namespace

LaneWorker::LaneWorker(size_t lane, Options options, Probe probe,
                       BatchScheduler* scheduler, EngineObserver* observer,
                       Clock* clock)
    : lane_(lane),
      options_(std::move(options)),
      probe_(std::move(probe)),
      scheduler_(scheduler),
      observer_(observer),
      clock_(clock),
      max_batch_size_(scheduler->max_batch_size(lane)) {}

void LaneWorker::Work() {
  absl::StatusOr<std::unique_ptr<BatchRunner>> created = CreateRunner();
  if (created.ok()) {
    std::unique_ptr<BatchRunner> runner = *std::move(created);
    observer_->OnDeviceHealth(options_.device, absl::OkStatus());
    SetOpen(true);
    {
      absl::MutexLock lock(&mu_);
      SetCreated(absl::OkStatus());
    }
    while (runner != nullptr) {
      const absl::Status lost = RunBatches(*runner);
      SetOpen(false);
      if (!lost.ok()) observer_->OnDeviceHealth(options_.device, lost);
      GiveUp(std::move(runner));
      if (!lost.ok()) runner = Recover();
    }
  } else {
    observer_->OnDeviceHealth(options_.device, created.status());
  }
  absl::MutexLock lock(&mu_);
  if (!created.ok()) SetCreated(created.status());
  ended_ = true;
  changed_.SignalAll();
}

absl::Status LaneWorker::RunBatches(BatchRunner& runner) {
  LaneBatch batch;
  while (scheduler_->NextBatch(lane_, &batch)) {
    if (batch.taken_out) return CameBack();
    absl::Status status = RunBatch(batch, runner);
    if (!status.ok()) return status;
    if (batch.rows.empty() || owed_to_batches_ <= absl::ZeroDuration()) {
      if (!RunSlice(runner)) return CameBack();
    }
    // Not amid an errand, which may use the same trajectories.
    if (probe_due_ != nullptr && !HasErrand()) {
      status = ProbeInService(runner);
      if (!status.ok()) return status;
    }
    // So that the lane comes back for the rest of it, should it be idle by
    // then.
    if (HasErrand()) scheduler_->Interrupt(lane_);
  }
  return absl::OkStatus();
}

absl::Status LaneWorker::RunBatch(const LaneBatch& batch, BatchRunner& runner) {
  if (batch.forget.empty() && batch.rows.empty()) return absl::OkStatus();
  BeginActivity(LaneActivity::Kind::kStep,
                batch.rows.empty() ? std::nullopt
                                   : batch.version->costs->StepTime(
                                         static_cast<int>(batch.rows.size())));
  if (!batch.forget.empty()) runner.Forget(batch.forget);
  if (batch.rows.empty()) {
    return EndActivity() ? absl::OkStatus() : CameBack();
  }
  const absl::StatusOr<StepOutcome*> outcome =
      runner.RunStep(batch.version->model, batch.rows);
  const bool in_time = EndActivity();
  // Before the scheduler tells the callers, so that who has a result finds its
  // steps in the metrics.
  if (in_time && outcome.ok()) ReportStep(batch, **outcome);
  const absl::Status status = outcome.status();
  const LaneHealth::Action action = scheduler_->FinishBatch(lane_, outcome);
  if (action == LaneHealth::Action::kTakeOut) {
    if (!in_time) return CameBack();
    return status.ok()
               ? absl::InternalError("the runner's results make no sense")
               : status;
  }
  if (action == LaneHealth::Action::kProbe) probe_due_ = batch.version;
  const int limit = scheduler_->max_batch_size(lane_);
  if (limit != max_batch_size_) {
    max_batch_size_ = limit;
    observer_->OnBatchLimit(options_.device, limit);
  }
  return absl::OkStatus();
}

absl::Status LaneWorker::ProbeInService(BatchRunner& runner) {
  const std::shared_ptr<const ServableVersion> version =
      std::exchange(probe_due_, nullptr);
  absl::Status status;
  if (!ProbeRunner(runner, version.get(), &status)) return CameBack();
  if (!status.ok()) scheduler_->ProbeFailed(lane_, status);
  return status;
}

void LaneWorker::ReportStep(const LaneBatch& batch, const StepOutcome& step) {
  absl::InlinedVector<int, 256> steps;
  for (const StepRow& row : batch.rows) steps.push_back(row.step);
  observer_->OnStep(batch.version->identity, options_.device, steps,
                    step.device_time);
  if (step.device_memory_bytes != memory_bytes_) {
    memory_bytes_ = step.device_memory_bytes;
    observer_->OnDeviceMemory(options_.device, memory_bytes_);
  }
  owed_to_batches_ -= step.device_time;
}

std::unique_ptr<BatchRunner> LaneWorker::Recover() {
  memory_bytes_ = 0;
  owed_to_batches_ = absl::ZeroDuration();
  probe_due_ = nullptr;
  while (scheduler_->AwaitRetry(lane_)) {
    absl::StatusOr<std::unique_ptr<BatchRunner>> created = CreateRunner();
    absl::Status status = created.status();
    // Sound is sound, however late.
    if (status.ok()) ProbeRunner(**created, /*only=*/nullptr, &status);
    if (!status.ok()) {
      if (created.ok()) GiveUp(*std::move(created));
      observer_->OnDeviceHealth(options_.device, status);
      scheduler_->LaneCreationFailed(lane_);
      continue;
    }
    observer_->OnDeviceHealth(options_.device, absl::OkStatus());
    SetOpen(true);
    scheduler_->ReturnLane(lane_);
    return *std::move(created);
  }
  return nullptr;
}

absl::StatusOr<std::unique_ptr<BatchRunner>> LaneWorker::CreateRunner() {
  BeginActivity(LaneActivity::Kind::kCreation);
  absl::StatusOr<std::unique_ptr<BatchRunner>> created =
      options_.create_runner();
  EndActivity();
  return created;
}

void LaneWorker::GiveUp(std::unique_ptr<BatchRunner> runner) {
  BeginActivity(LaneActivity::Kind::kCreation);
  runner.reset();
  EndActivity();
}

bool LaneWorker::ProbeRunner(BatchRunner& runner, const ServableVersion* only,
                             absl::Status* status) {
  BeginActivity(LaneActivity::Kind::kProbe);
  *status = probe_(lane_, runner, only);
  return EndActivity();
}

bool LaneWorker::RunSlice(BatchRunner& runner) {
  owed_to_batches_ = absl::ZeroDuration();
  std::shared_ptr<Errand> errand;
  {
    absl::MutexLock lock(&mu_);
    if (errands_.empty()) return true;
    errand = errands_.front();
  }
  BeginActivity(LaneActivity::Kind::kSlice);
  absl::StatusOr<Slice> slice = errand->task(lane_, runner);
  if (!EndActivity()) return false;
  if (slice.ok()) owed_to_batches_ = (kSliceShare - 1) * slice->device_time;
  if (slice.ok() && slice->more) return true;
  absl::MutexLock lock(&mu_);
  // Unless it was ended meanwhile.
  if (!errands_.empty() && errands_.front() == errand) {
    EndErrand(std::move(slice).status());
  }
  return true;
}

void LaneWorker::BeginActivity(LaneActivity::Kind kind,
                               std::optional<absl::Duration> expected) {
  absl::MutexLock lock(&mu_);
  activity_ = {kind, activity_.number + 1, clock_->Now(), expected};
}

bool LaneWorker::EndActivity() {
  absl::MutexLock lock(&mu_);
  // Whom this thread reports to may be gone: it goes no further, for ever.
  while (being_taken_out_ || abandoned_) changed_.Wait(&mu_);
  activity_.kind = LaneActivity::Kind::kNone;
  ++activity_.number;
  return !std::exchange(taken_out_, false);
}

bool LaneWorker::TakeOut(const LaneActivity& activity,
                         const absl::Status& reason) {
  bool was_open = false;
  {
    absl::MutexLock lock(&mu_);
    if (activity_.number != activity.number) return false;
    being_taken_out_ = true;
    was_open = open_;
  }
  // The thread waits in EndActivity, should it come back now, so that its late
  // FinishBatch comes after this.
  if (was_open) scheduler_->AbandonLane(lane_);
  observer_->OnDeviceHealth(options_.device, reason);
  absl::MutexLock lock(&mu_);
  open_ = false;
  if (activity.kind == LaneActivity::Kind::kSlice && !errands_.empty()) {
    EndErrand(absl::InternalError(reason.message()));
  }
  EndEveryErrand();
  if (!created_) SetCreated(reason);
  being_taken_out_ = false;
  taken_out_ = true;
  changed_.SignalAll();
  return true;
}

bool LaneWorker::AwaitEnd() {
  absl::MutexLock lock(&mu_);
  while (!ended_) {
    const absl::Time now = clock_->Now();
    const bool busy = activity_.kind != LaneActivity::Kind::kNone;
    const absl::Time limit =
        busy ? activity_.started + HangLimit(activity_) : now + kEndPoll;
    if (busy && (taken_out_ || limit <= now)) {
      abandoned_ = true;
      return false;
    }
    clock_->WaitUntil(&changed_, &mu_, limit);
  }
  return true;
}

absl::Status LaneWorker::AwaitCreated() {
  absl::MutexLock lock(&mu_);
  while (!created_) changed_.Wait(&mu_);
  return *created_;
}

bool LaneWorker::AddErrand(std::shared_ptr<Errand> errand) {
  {
    absl::MutexLock lock(&mu_);
    if (!open_ || !takes_errands_) return false;
    errands_.push_back(std::move(errand));
  }
  scheduler_->Interrupt(lane_);
  return true;
}

void LaneWorker::EndErrands() {
  absl::MutexLock lock(&mu_);
  takes_errands_ = false;
  EndEveryErrand();
}

void LaneWorker::EndErrand(absl::Status result) {
  // Handed over whole: to ThreadSanitizer, references to one error that two
  // threads let go of are a race, since it does not see into the library.
  errands_.front()->result = std::move(result);
  errands_.front()->done.Notify();
  errands_.pop_front();
}

void LaneWorker::EndEveryErrand() {
  while (!errands_.empty()) {
    EndErrand(absl::UnavailableError("the lane has stopped"));
  }
}

LaneWorker::State LaneWorker::state() const {
  absl::MutexLock lock(&mu_);
  return {activity_, open_};
}

bool LaneWorker::HasErrand() const {
  absl::MutexLock lock(&mu_);
  return !errands_.empty();
}

void LaneWorker::SetOpen(bool open) {
  absl::MutexLock lock(&mu_);
  open_ = open;
  if (!open) EndEveryErrand();
}

void LaneWorker::SetCreated(const absl::Status& status) {
  created_ =
      status.ok()
          ? status
          : absl::Status(status.code(),
                         absl::StrCat(options_.device, ": ", status.message()));
  changed_.SignalAll();
}

}  // namespace ddgan
