#include "engine/lane_threads/lane_worker.h"

#include <algorithm>

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
      const absl::Status taken_out = RunBatches(*runner);
      SetOpen(false);
      if (!taken_out.ok()) {
        observer_->OnDeviceHealth(options_.device, taken_out);
      }
      GiveUp(std::move(runner));
      if (!taken_out.ok()) runner = Recover();
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
    absl::Status status = RunBatch(batch, runner);
    if (!status.ok()) return status;
    if (batch.rows.empty() || owed_to_batches_ <= absl::ZeroDuration()) {
      if (!RunSlice(runner)) return CameBack();
    }
    // Not amid a task, which may use the same trajectories.
    if (probe_due_ != nullptr && !HasTask()) {
      status = ProbeInService(runner);
      if (!status.ok()) return status;
    }
    // So that the lane comes back for the rest of it, should it be idle by
    // then.
    if (HasTask()) scheduler_->Interrupt(lane_);
  }
  return absl::OkStatus();
}

absl::Status LaneWorker::RunBatch(const LaneBatch& batch, BatchRunner& runner) {
  if (batch.forget.empty() && batch.rows.empty()) return absl::OkStatus();
  BeginActivity(LaneActivity::Kind::kStep,
                batch.rows.empty() ? std::nullopt : ExpectedTime(batch));
  if (!batch.forget.empty()) runner.Forget(batch.forget);
  if (batch.rows.empty()) {
    return EndActivity() ? absl::OkStatus() : CameBack();
  }
  const bool traced = !batch.traced.empty();
  const absl::Time start = traced ? clock_->Now() : absl::Time();
  const absl::StatusOr<StepOutcome*> outcome =
      runner.RunStep(batch.version->model, batch.rows);
  const absl::Time end = traced ? clock_->Now() : absl::Time();
  const bool in_time = EndActivity();
  // Before the scheduler tells the callers, so that who has a result finds its
  // steps in the metrics.
  if (in_time && outcome.ok()) {
    NoteSize(batch);
    ReportStep(batch, **outcome);
  }
  if (in_time && traced) {
    observer_->OnTracedStep({.model = batch.version->identity,
                             .device = options_.device,
                             .batch_size = static_cast<int>(batch.rows.size()),
                             .rows = batch.traced,
                             .start = start,
                             .end = end,
                             .device_time = outcome.ok()
                                                ? (*outcome)->device_time
                                                : absl::ZeroDuration(),
                             .status = outcome.status()});
  }
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
  if (!ProbeRunner(runner, *version, &status)) return CameBack();
  if (!status.ok()) scheduler_->ProbeFailed(lane_, status);
  return status;
}

std::optional<absl::Duration> LaneWorker::ExpectedTime(
    const LaneBatch& batch) const {
  const auto rows = static_cast<int>(batch.rows.size());
  if (recovered_) {
    const auto largest = largest_batch_.find(batch.version);
    if (largest == largest_batch_.end() || largest->second < rows) {
      return std::nullopt;
    }
  }
  return batch.version->costs->StepTime(rows);
}

void LaneWorker::NoteSize(const LaneBatch& batch) {
  if (!recovered_) return;
  auto largest = largest_batch_.find(batch.version);
  if (largest == largest_batch_.end()) {
    std::erase_if(largest_batch_,
                  [](const auto& entry) { return entry.first.expired(); });
    largest = largest_batch_.emplace(batch.version, 0).first;
  }
  largest->second =
      std::max(largest->second, static_cast<int>(batch.rows.size()));
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
  if (std::exchange(memory_bytes_, 0) != 0) {
    observer_->OnDeviceMemory(options_.device, 0);
  }
  owed_to_batches_ = absl::ZeroDuration();
  probe_due_ = nullptr;
  recovered_ = true;
  largest_batch_.clear();
  while (scheduler_->AwaitRetry(lane_)) {
    absl::StatusOr<std::unique_ptr<BatchRunner>> created = CreateRunner();
    absl::Status status = created.status();
    if (status.ok()) status = ProbeEveryVersion(**created);
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
  absl::StatusOr<std::unique_ptr<BatchRunner>> created = options_.create_runner(
      [this](const std::string& notice) { notices_.push_back(notice); });
  EndActivity();
  return created;
}

void LaneWorker::GiveUp(std::unique_ptr<BatchRunner> runner) {
  BeginActivity(LaneActivity::Kind::kCreation);
  runner.reset();
  EndActivity();
}

bool LaneWorker::ProbeRunner(BatchRunner& runner,
                             const ServableVersion& version,
                             absl::Status* status) {
  BeginActivity(LaneActivity::Kind::kProbe);
  *status = probe_.run(runner, version);
  return EndActivity();
}

absl::Status LaneWorker::ProbeEveryVersion(BatchRunner& runner) {
  for (const auto& version : probe_.versions()) {
    absl::Status status;
    ProbeRunner(runner, *version, &status);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

bool LaneWorker::RunSlice(BatchRunner& runner) {
  owed_to_batches_ = absl::ZeroDuration();
  std::shared_ptr<LaneTask> task;
  {
    absl::MutexLock lock(&mu_);
    if (tasks_.empty()) return true;
    task = tasks_.front();
  }
  BeginActivity(LaneActivity::Kind::kSlice);
  absl::StatusOr<Slice> slice = task->run_next(lane_, runner);
  if (!EndActivity()) return false;
  if (slice.ok()) owed_to_batches_ = (kSliceShare - 1) * slice->device_time;
  if (slice.ok() && slice->more) return true;
  absl::MutexLock lock(&mu_);
  // Unless it was ended meanwhile.
  if (!tasks_.empty() && tasks_.front() == task) {
    EndTask(std::move(slice).status());
  }
  return true;
}

void LaneWorker::BeginActivity(LaneActivity::Kind kind,
                               std::optional<absl::Duration> expected) {
  absl::MutexLock lock(&mu_);
  activity_ = {kind, activity_.number + 1, clock_->Now(), expected};
}

bool LaneWorker::EndActivity() {
  bool in_time = false;
  {
    absl::MutexLock lock(&mu_);
    // Whom this thread reports to may be gone: it goes no further, for ever.
    while (held_ || abandoned_) changed_.Wait(&mu_);
    activity_.kind = LaneActivity::Kind::kNone;
    ++activity_.number;
    in_time = !std::exchange(taken_out_, false);
  }
  for (const std::string& notice : std::exchange(notices_, {})) {
    observer_->OnDeviceNotice(options_.device, notice);
  }
  return in_time;
}

bool LaneWorker::HoldIn(const LaneActivity& activity) {
  absl::MutexLock lock(&mu_);
  held_ = activity_.number == activity.number;
  return held_;
}

void LaneWorker::LetGo() {
  held_ = false;
  changed_.SignalAll();
}

bool LaneWorker::TakeOut(const LaneActivity& activity,
                         const absl::Status& reason) {
  // The thread waits in EndActivity, should it come back now, so that its late
  // FinishBatch comes after this.
  if (!HoldIn(activity)) return false;
  if (state().open) scheduler_->AbandonLane(lane_);
  observer_->OnDeviceHealth(options_.device, reason);
  absl::MutexLock lock(&mu_);
  open_ = false;
  if (activity.kind == LaneActivity::Kind::kSlice && !tasks_.empty()) {
    EndTask(absl::InternalError(reason.message()));
  }
  EndEveryTask();
  if (!created_) SetCreated(reason);
  taken_out_ = true;
  LetGo();
  return true;
}

bool LaneWorker::ReportLost(const LaneActivity& activity,
                            const absl::Status& reason) {
  if (!HoldIn(activity)) return false;
  observer_->OnDeviceHealth(options_.device, reason);
  absl::MutexLock lock(&mu_);
  LetGo();
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

bool LaneWorker::AddTask(std::shared_ptr<LaneTask> task) {
  {
    absl::MutexLock lock(&mu_);
    if (!open_ || !takes_tasks_) return false;
    tasks_.push_back(std::move(task));
  }
  scheduler_->Interrupt(lane_);
  return true;
}

void LaneWorker::EndTasks() {
  absl::MutexLock lock(&mu_);
  takes_tasks_ = false;
  EndEveryTask();
}

void LaneWorker::EndTask(absl::Status result) {
  // Handed over whole: to ThreadSanitizer, references to one error that two
  // threads let go of are a race, since it does not see into the library.
  tasks_.front()->result = std::move(result);
  tasks_.front()->done.Notify();
  tasks_.pop_front();
}

void LaneWorker::EndEveryTask() {
  while (!tasks_.empty()) {
    EndTask(absl::UnavailableError("the lane has stopped"));
  }
}

LaneWorker::State LaneWorker::state() const {
  absl::MutexLock lock(&mu_);
  return {activity_, open_};
}

bool LaneWorker::HasTask() const {
  absl::MutexLock lock(&mu_);
  return !tasks_.empty();
}

void LaneWorker::SetOpen(bool open) {
  absl::MutexLock lock(&mu_);
  open_ = open;
  if (!open) EndEveryTask();
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
