// The lanes: one thread and one BatchRunner each, fed by one BatchScheduler.
#ifndef DDGAN_ENGINE_SCHEDULING_LANE_POOL_H_
#define DDGAN_ENGINE_SCHEDULING_LANE_POOL_H_

#include <cstddef>
#include <deque>
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
#include "absl/time/time.h"
#include "engine/api/engine_observer.h"
#include "engine/lanes/batch_runner.h"
#include "engine/scheduling/batch_scheduler.h"

namespace ddgan {

// Thread-safe.
class LanePool {
 public:
  struct LaneOptions {
    std::string device;  // Name in events, e.g. "cpu" or "cuda:0".
    // Called on the lane's own thread, once and again each time that the lane
    // was taken out: what LibTorch and OpenMP keep per thread then belongs to
    // the thread that runs the steps.
    std::function<absl::StatusOr<std::unique_ptr<BatchRunner>>()> create_runner;
  };
  // Gets the lane and its runner.
  using Probe = std::function<absl::Status(size_t lane, BatchRunner& runner)>;

  // One piece of a longer work, of the length of a step.
  struct Slice {
    bool more = false;           // Another one is to follow.
    absl::Duration device_time;  // What it took.
  };
  // Runs the next slice on a lane.
  using SlicedTask =
      std::function<absl::StatusOr<Slice>(size_t lane, BatchRunner& runner)>;

  // While a lane has batches to run, slices get one part in this many of its
  // time.
  static constexpr int kSliceShare = 10;

  // Starts lane i as the scheduler's lane i; there must be as many as it was
  // told. Blocks until every runner exists. If one cannot be created, stops the
  // scheduler and returns that error with the device's name before it.
  //
  // A lane that the scheduler takes out gives up its runner, waits, makes a new
  // one and returns once `probe` succeeds on it.
  // `scheduler` and `observer` must outlive the pool.
  static absl::StatusOr<std::unique_ptr<LanePool>> Start(
      std::vector<LaneOptions> lanes, Probe probe, BatchScheduler* scheduler,
      EngineObserver* observer);

  // Stops the scheduler, waits for the steps that are running, and destroys
  // each runner on its own thread.
  ~LanePool();

  LanePool(const LanePool&) = delete;
  LanePool& operator=(const LanePool&) = delete;

  // Runs `task` to its end on the thread of every lane that is not out, slice
  // by slice between ticks, and waits. A lane that has requests to serve runs
  // slices only now and then (kSliceShare), an idle one at once. The first
  // lane's error comes back; Unavailable if every lane is out or the scheduler
  // was stopped. Steps that a task runs are not reported. Not from a lane's
  // thread.
  absl::Status RunOnEveryLane(const SlicedTask& task);

 private:
  // A task on its way to one lane, on the stack of who waits for it.
  struct Errand {
    const SlicedTask* task = nullptr;
    std::optional<absl::Status> result;
  };

  struct Lane {
    std::optional<absl::Status> created;  // Set once the runner exists or not.
    bool open = false;                    // Takes errands.
    std::deque<Errand*> errands;          // In turn; the first has begun.
  };

  LanePool(size_t num_lanes, Probe probe, BatchScheduler* scheduler,
           EngineObserver* observer);

  void Work(size_t lane, const LaneOptions& options);
  // Runs batches until the lane is taken out (the reason) or stopped (OK).
  absl::Status RunBatches(size_t lane, const LaneOptions& options,
                          BatchRunner& runner);
  // A new runner for a lane that was taken out; null if stopped meanwhile.
  std::unique_ptr<BatchRunner> Recover(size_t lane, const LaneOptions& options);
  absl::StatusOr<std::unique_ptr<BatchRunner>> CreateProbed(
      size_t lane, const LaneOptions& options);
  void ReportStep(const std::string& device, const LaneBatch& batch,
                  absl::Duration device_time);
  // Runs a slice of the lane's first errand, if there is one. What it took.
  absl::Duration RunSlice(size_t lane, BatchRunner& runner);
  bool HasErrand(size_t lane);
  void OpenLane(size_t lane);
  // Errands that come too late get Unavailable.
  void CloseLane(size_t lane);
  void SetCreated(size_t lane, const absl::Status& status);

  // Constant after construction.
  const Probe probe_;
  BatchScheduler* const scheduler_;
  EngineObserver* const observer_;

  absl::Mutex mu_;
  absl::CondVar changed_;  // A runner was created or an errand was run.
  std::vector<Lane> lanes_ ABSL_GUARDED_BY(mu_);
  // By lane; touched by Start and the destructor only.
  std::vector<std::thread> threads_;
};

}  // namespace ddgan

#endif  // DDGAN_ENGINE_SCHEDULING_LANE_POOL_H_
