#include "engine/device_pool.h"

#include <cstdint>
#include <utility>

#include "absl/container/inlined_vector.h"
#include "absl/strings/str_cat.h"

namespace ddgan {

absl::StatusOr<std::unique_ptr<DevicePool>> DevicePool::Start(
    std::vector<LaneOptions> lanes, BatchScheduler* scheduler,
    EngineObserver* observer) {
  // The constructor is private.
  std::unique_ptr<DevicePool> pool(
      new DevicePool(lanes.size(), scheduler, observer));
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

DevicePool::DevicePool(size_t num_lanes, BatchScheduler* scheduler,
                       EngineObserver* observer)
    : scheduler_(scheduler), observer_(observer), lanes_(num_lanes) {}

DevicePool::~DevicePool() {
  scheduler_->Stop();
  for (std::thread& thread : threads_) thread.join();
}

absl::Status DevicePool::RunOnEveryLane(const Task& task) {
  std::vector<Errand> errands;
  {
    absl::MutexLock lock(&mu_);
    errands.resize(lanes_.size());
    for (size_t lane = 0; lane < lanes_.size(); ++lane) {
      if (lanes_[lane].closed) {
        errands[lane].result = absl::UnavailableError("the lane has stopped");
        continue;
      }
      errands[lane].task = &task;
      lanes_[lane].errands.push_back(&errands[lane]);
    }
  }
  for (size_t lane = 0; lane < errands.size(); ++lane) {
    scheduler_->Interrupt(lane);
  }
  absl::MutexLock lock(&mu_);
  absl::Status status;
  for (const Errand& errand : errands) {
    while (!errand.result) changed_.Wait(&mu_);
    status.Update(*errand.result);
  }
  return status;
}

void DevicePool::Work(size_t lane, const LaneOptions& options) {
  absl::StatusOr<std::unique_ptr<BatchRunner>> created =
      options.create_runner();
  if (!created.ok()) {
    CloseLane(lane);
    observer_->OnDeviceHealth(options.device, false);
    SetCreated(lane, absl::Status(created.status().code(),
                                  absl::StrCat(options.device, ": ",
                                               created.status().message())));
    return;
  }
  const std::unique_ptr<BatchRunner> runner = *std::move(created);
  bool healthy = true;
  observer_->OnDeviceHealth(options.device, healthy);
  SetCreated(lane, absl::OkStatus());

  LaneBatch batch;
  int64_t memory_bytes = 0;
  while (scheduler_->NextBatch(lane, &batch)) {
    if (!batch.forget.empty()) runner->Forget(batch.forget);
    if (!batch.rows.empty()) {
      absl::StatusOr<StepOutcome> outcome =
          runner->RunStep(batch.version->model, batch.rows);
      // Before the scheduler tells the callers, so that who has a result finds
      // its steps in the metrics.
      if (outcome.ok() != healthy) {
        healthy = outcome.ok();
        observer_->OnDeviceHealth(options.device, healthy);
      }
      if (outcome.ok()) {
        ReportStep(options.device, batch, outcome->device_time);
        if (outcome->device_memory_bytes != memory_bytes) {
          memory_bytes = outcome->device_memory_bytes;
          observer_->OnDeviceMemory(options.device, memory_bytes);
        }
      }
      scheduler_->FinishBatch(lane, std::move(outcome));
    }
    RunErrands(lane, *runner);
  }
  CloseLane(lane);
}

void DevicePool::ReportStep(const std::string& device, const LaneBatch& batch,
                            absl::Duration device_time) {
  absl::InlinedVector<int, 256> steps;
  for (const StepRow& row : batch.rows) steps.push_back(row.step);
  observer_->OnStep(batch.version->identity, device, steps, device_time);
}

void DevicePool::RunErrands(size_t lane, BatchRunner& runner) {
  std::vector<Errand*> errands;
  {
    absl::MutexLock lock(&mu_);
    errands.swap(lanes_[lane].errands);
  }
  for (Errand* errand : errands) {
    absl::Status result = (*errand->task)(runner);
    absl::MutexLock lock(&mu_);
    errand->result = std::move(result);
    changed_.SignalAll();
  }
}

void DevicePool::CloseLane(size_t lane) {
  absl::MutexLock lock(&mu_);
  lanes_[lane].closed = true;
  for (Errand* errand : lanes_[lane].errands) {
    errand->result = absl::UnavailableError("the lane has stopped");
  }
  lanes_[lane].errands.clear();
  changed_.SignalAll();
}

void DevicePool::SetCreated(size_t lane, const absl::Status& status) {
  absl::MutexLock lock(&mu_);
  lanes_[lane].created = status;
  changed_.SignalAll();
}

}  // namespace ddgan
