#include "engine/scheduling/lane_pool.h"

#include <cstdint>
#include <utility>

#include "absl/container/inlined_vector.h"
#include "absl/strings/str_cat.h"

namespace ddgan {

absl::StatusOr<std::unique_ptr<LanePool>> LanePool::Start(
    std::vector<LaneOptions> lanes, Probe probe, BatchScheduler* scheduler,
    EngineObserver* observer) {
  // The constructor is private.
  std::unique_ptr<LanePool> pool(
      new LanePool(lanes.size(), std::move(probe), scheduler, observer));
  for (size_t lane = 0; lane < lanes.size(); ++lane) {
    pool->threads_.emplace_back(
        [pool = pool.get(), lane, options = std::move(lanes[lane])] {
          pool->Work(lane, options);
        });
  }
  absl::Status status;
  {
    absl::MutexLock lock(&pool->mu_);
    for (Lane& lane : pool->lanes_) {
      while (!lane.created) pool->changed_.Wait(&pool->mu_);
      status.Update(*lane.created);
    }
  }
  if (!status.ok()) return status;  // The destructor ends the other lanes.
  return pool;
}

LanePool::LanePool(size_t num_lanes, Probe probe, BatchScheduler* scheduler,
                   EngineObserver* observer)
    : probe_(std::move(probe)),
      scheduler_(scheduler),
      observer_(observer),
      lanes_(num_lanes) {}

LanePool::~LanePool() {
  scheduler_->Stop();
  for (std::thread& thread : threads_) thread.join();
}

absl::Status LanePool::RunOnEveryLane(const SlicedTask& task) {
  std::vector<Errand> errands;
  std::vector<size_t> lanes;
  {
    absl::MutexLock lock(&mu_);
    errands.resize(lanes_.size());  // Stays: lanes point into it.
    for (size_t lane = 0; lane < lanes_.size(); ++lane) {
      if (!lanes_[lane].open) continue;
      errands[lane].task = &task;
      lanes_[lane].errands.push_back(&errands[lane]);
      lanes.push_back(lane);
    }
  }
  if (lanes.empty()) return absl::UnavailableError("every lane is out");
  for (size_t lane : lanes) scheduler_->Interrupt(lane);
  absl::MutexLock lock(&mu_);
  absl::Status status;
  for (size_t lane : lanes) {
    while (!errands[lane].result) changed_.Wait(&mu_);
    status.Update(*errands[lane].result);
  }
  return status;
}

void LanePool::Work(size_t lane, const LaneOptions& options) {
  absl::StatusOr<std::unique_ptr<BatchRunner>> created =
      options.create_runner();
  if (!created.ok()) {
    observer_->OnDeviceHealth(options.device, created.status());
    SetCreated(lane, absl::Status(created.status().code(),
                                  absl::StrCat(options.device, ": ",
                                               created.status().message())));
    return;
  }
  std::unique_ptr<BatchRunner> runner = *std::move(created);
  observer_->OnDeviceHealth(options.device, absl::OkStatus());
  OpenLane(lane);
  SetCreated(lane, absl::OkStatus());
  while (runner != nullptr) {
    const absl::Status lost = RunBatches(lane, options, *runner);
    CloseLane(lane);
    if (lost.ok()) return;
    observer_->OnDeviceHealth(options.device, lost);
    runner.reset();
    runner = Recover(lane, options);
  }
}

absl::Status LanePool::RunBatches(size_t lane, const LaneOptions& options,
                                  BatchRunner& runner) {
  LaneBatch batch;
  int64_t memory_bytes = 0;
  int max_batch_size = scheduler_->max_batch_size(lane);
  // Batches that must run before the next slice.
  absl::Duration owed_to_batches;
  bool probe_due = false;
  while (scheduler_->NextBatch(lane, &batch)) {
    if (batch.taken_out) {
      return absl::DeadlineExceededError("the lane did not answer in time");
    }
    if (!batch.forget.empty()) runner.Forget(batch.forget);
    if (!batch.rows.empty()) {
      const absl::StatusOr<StepOutcome*> outcome =
          runner.RunStep(batch.version->model, batch.rows);
      // Before the scheduler tells the callers, so that who has a result finds
      // its steps in the metrics.
      if (outcome.ok()) {
        const StepOutcome& step = **outcome;
        ReportStep(options.device, batch, step.device_time);
        if (step.device_memory_bytes != memory_bytes) {
          memory_bytes = step.device_memory_bytes;
          observer_->OnDeviceMemory(options.device, memory_bytes);
        }
        owed_to_batches -= step.device_time;
      }
      const absl::Status status = outcome.status();
      const LaneHealth::Action action = scheduler_->FinishBatch(lane, outcome);
      if (action == LaneHealth::Action::kTakeOut) {
        return status.ok()
                   ? absl::InternalError(
                         "the runner's results came late or make no sense")
                   : status;
      }
      probe_due |= action == LaneHealth::Action::kProbe;
      const int limit = scheduler_->max_batch_size(lane);
      if (limit != max_batch_size) {
        max_batch_size = limit;
        observer_->OnBatchLimit(options.device, limit);
      }
    }
    if (batch.rows.empty() || owed_to_batches <= absl::ZeroDuration()) {
      owed_to_batches = (kSliceShare - 1) * RunSlice(lane, runner);
    }
    // Not amid an errand, which may use the same trajectories.
    if (probe_due && !HasErrand(lane)) {
      probe_due = false;
      if (absl::Status bad = probe_(lane, runner); !bad.ok()) {
        scheduler_->ProbeFailed(lane, bad);
        return bad;
      }
    }
    // So that the lane comes back for the rest of it, should it be idle by
    // then.
    if (HasErrand(lane)) scheduler_->Interrupt(lane);
  }
  return absl::OkStatus();
}

std::unique_ptr<BatchRunner> LanePool::Recover(size_t lane,
                                               const LaneOptions& options) {
  while (scheduler_->AwaitRetry(lane)) {
    absl::StatusOr<std::unique_ptr<BatchRunner>> created =
        CreateProbed(lane, options);
    if (!created.ok()) {
      observer_->OnDeviceHealth(options.device, created.status());
      scheduler_->LaneCreationFailed(lane);
      continue;
    }
    observer_->OnDeviceHealth(options.device, absl::OkStatus());
    OpenLane(lane);
    scheduler_->ReturnLane(lane);
    return *std::move(created);
  }
  return nullptr;
}

absl::StatusOr<std::unique_ptr<BatchRunner>> LanePool::CreateProbed(
    size_t lane, const LaneOptions& options) {
  absl::StatusOr<std::unique_ptr<BatchRunner>> created =
      options.create_runner();
  if (!created.ok()) return created.status();
  if (const absl::Status probed = probe_(lane, **created); !probed.ok()) {
    return probed;
  }
  return created;
}

void LanePool::ReportStep(const std::string& device, const LaneBatch& batch,
                          absl::Duration device_time) {
  absl::InlinedVector<int, 256> steps;
  for (const StepRow& row : batch.rows) steps.push_back(row.step);
  observer_->OnStep(batch.version->identity, device, steps, device_time);
}

absl::Duration LanePool::RunSlice(size_t lane, BatchRunner& runner) {
  Errand* errand = nullptr;
  {
    absl::MutexLock lock(&mu_);
    if (lanes_[lane].errands.empty()) return absl::ZeroDuration();
    errand = lanes_[lane].errands.front();
  }
  absl::StatusOr<Slice> slice = (*errand->task)(lane, runner);
  const absl::Duration device_time =
      slice.ok() ? slice->device_time : absl::ZeroDuration();
  if (!slice.ok() || !slice->more) {
    absl::MutexLock lock(&mu_);
    lanes_[lane].errands.pop_front();
    // Handed over whole: to ThreadSanitizer, references to one error that two
    // threads let go of are a race, since it does not see into the library.
    errand->result = std::move(slice).status();
    changed_.SignalAll();
  }
  return device_time;
}

bool LanePool::HasErrand(size_t lane) {
  absl::MutexLock lock(&mu_);
  return !lanes_[lane].errands.empty();
}

void LanePool::OpenLane(size_t lane) {
  absl::MutexLock lock(&mu_);
  lanes_[lane].open = true;
}

void LanePool::CloseLane(size_t lane) {
  absl::MutexLock lock(&mu_);
  lanes_[lane].open = false;
  for (Errand* errand : lanes_[lane].errands) {
    errand->result = absl::UnavailableError("the lane has stopped");
  }
  lanes_[lane].errands.clear();
  changed_.SignalAll();
}

void LanePool::SetCreated(size_t lane, const absl::Status& status) {
  absl::MutexLock lock(&mu_);
  lanes_[lane].created = status;
  changed_.SignalAll();
}

}  // namespace ddgan
