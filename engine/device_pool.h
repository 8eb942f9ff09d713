// The lanes: one thread and one BatchRunner each, fed by one BatchScheduler.
#ifndef DDGAN_ENGINE_DEVICE_POOL_H_
#define DDGAN_ENGINE_DEVICE_POOL_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "engine/batch_runner.h"
#include "engine/batch_scheduler.h"
#include "engine/engine_observer.h"

namespace ddgan {

// Thread-safe.
class DevicePool {
 public:
  struct LaneOptions {
    std::string device;  // Name in events, e.g. "cpu" or "cuda:0".
    // Called once, on the lane's own thread: what LibTorch and OpenMP keep per
    // thread then belongs to the thread that runs the steps.
    std::function<absl::StatusOr<std::unique_ptr<BatchRunner>>()> create_runner;
  };
  using Task = std::function<absl::Status(BatchRunner&)>;

  // Starts lane i as the scheduler's lane i; there must be as many as it was
  // told. Blocks until every runner exists. If one cannot be created, stops the
  // scheduler and returns that error with the device's name before it.
  // `scheduler` and `observer` must outlive the pool.
  static absl::StatusOr<std::unique_ptr<DevicePool>> Start(
      std::vector<LaneOptions> lanes, BatchScheduler* scheduler,
      EngineObserver* observer);

  // Stops the scheduler, waits for the steps that are running, and destroys
  // each runner on its own thread.
  ~DevicePool();

  DevicePool(const DevicePool&) = delete;
  DevicePool& operator=(const DevicePool&) = delete;

  // Runs `task` on every lane's thread, between two ticks, and waits. The first
  // lane's error comes back; Unavailable if the scheduler was stopped. Steps
  // that a task runs are not reported. Not from a lane's thread.
  absl::Status RunOnEveryLane(const Task& task);

 private:
  // A task on its way to one lane, on the stack of who waits for it.
  struct Errand {
    const Task* task = nullptr;
    std::optional<absl::Status> result;
  };

  struct Lane {
    std::optional<absl::Status> created;  // Set once the runner exists or not.
    bool closed = false;                  // Takes no errand any more.
    std::vector<Errand*> errands;
  };

  DevicePool(size_t num_lanes, BatchScheduler* scheduler,
             EngineObserver* observer);

  void Work(size_t lane, const LaneOptions& options);
  void ReportStep(const std::string& device, const LaneBatch& batch,
                  absl::Duration device_time);
  void RunErrands(size_t lane, BatchRunner& runner);
  // Errands that come too late get Unavailable.
  void CloseLane(size_t lane);
  void SetCreated(size_t lane, const absl::Status& status);

  // Constant after construction.
  BatchScheduler* const scheduler_;
  EngineObserver* const observer_;

  absl::Mutex mu_;
  absl::CondVar changed_;  // A runner was created or an errand was run.
  std::vector<Lane> lanes_ ABSL_GUARDED_BY(mu_);
  // By lane; touched by Start and the destructor only.
  std::vector<std::thread> threads_;
};

}  // namespace ddgan

#endif  // DDGAN_ENGINE_DEVICE_POOL_H_
