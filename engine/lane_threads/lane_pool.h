// The lanes: one thread and one BatchRunner each, fed by one BatchScheduler.
#ifndef DDGAN_ENGINE_LANE_THREADS_LANE_POOL_H_
#define DDGAN_ENGINE_LANE_THREADS_LANE_POOL_H_

#include <memory>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "engine/api/engine_observer.h"
#include "engine/base/clock.h"
#include "engine/lane_threads/lane_worker.h"
#include "engine/scheduling/batch_scheduler.h"

namespace ddgan {

// Thread-safe.
class LanePool {
 public:
  using LaneOptions = LaneWorker::Options;
  using Probe = LaneWorker::Probe;
  using Slice = LaneWorker::Slice;
  using SlicedTask = LaneWorker::SlicedTask;

  // Starts lane i as the scheduler's lane i; there must be as many as it was
  // told. `scheduler`, `observer`, `clock` and what probe.versions refers to
  // must outlive the pool; what else `lanes` and `probe` refer to while a call
  // into a device lasts must outlive that call, which may hang beyond the pool.
  LanePool(std::vector<LaneOptions> lanes, Probe probe,
           BatchScheduler* scheduler, EngineObserver* observer, Clock* clock);

  // Stops the scheduler, waits for the calls into devices that are running, and
  // destroys each runner on its own thread. A lane that hangs (hang_policy.h)
  // is not waited for any longer: its thread is left behind, with its runner
  // and the versions that it holds, and touches nothing else if it ever comes
  // back.
  ~LanePool();

  LanePool(const LanePool&) = delete;
  LanePool& operator=(const LanePool&) = delete;

  // Blocks until every lane has its first runner. If one cannot be created, or
  // a supervisor finds that its creation hangs, that error with the device's
  // name before it; the pool is then of no use.
  absl::Status AwaitRunners();

  // Runs `task` to its end on the thread of every lane that is not out, slice
  // by slice between ticks, and waits. A lane that has requests to serve runs
  // slices only now and then (kSliceShare), an idle one at once. The first
  // lane's error comes back; Unavailable if every lane is out, or a lane was
  // taken out or stopped before its end; Internal if a lane hangs in it: then
  // that lane may still be at it when this returns. Steps that a task runs are
  // not reported. Not from a lane's thread.
  absl::Status RunOnEveryLane(const SlicedTask& task);
  // RunOnEveryLane returns soon, from now on.
  void EndTasks();

  // By lane. A supervisor looks at what they do and takes out those that hang.
  const std::vector<std::shared_ptr<LaneWorker>>& lanes() const {
    return lanes_;
  }

 private:
  BatchScheduler* const scheduler_;
  std::vector<std::shared_ptr<LaneWorker>> lanes_;
  std::vector<std::thread> threads_;  // By lane.
};

}  // namespace ddgan

#endif  // DDGAN_ENGINE_LANE_THREADS_LANE_POOL_H_
