// A thread that is not a lane: it ends requests that are cancelled or late, and
// takes out lanes that hang in a call into their device.
#ifndef DDGAN_ENGINE_LANE_THREADS_SUPERVISOR_H_
#define DDGAN_ENGINE_LANE_THREADS_SUPERVISOR_H_

#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "engine/base/clock.h"
#include "engine/lane_threads/hang_policy.h"
#include "engine/lane_threads/lane_pool.h"
#include "engine/scheduling/batch_scheduler.h"

namespace ddgan {

// It looks at the lanes every kLookInterval and decides by hang_policy.h. When
// a lane hangs, its work starts again on the others, and the pool's observer
// gets OnDeviceHealth with what hangs and for how long. While no lane is left,
// the scheduler's outage_limit holds. A lane that comes back after all makes a
// new runner and serves again.
//
// Thread-safe.
class Supervisor {
 public:
  // Starts the thread. All three must outlive the supervisor.
  Supervisor(BatchScheduler* scheduler, LanePool* pool, Clock* clock);
  // Stops the scheduler.
  ~Supervisor();

  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  // Internal if a lane is lost (HangVerdict::kLost) and no lane has served for
  // kLostAfter: only a new process helps. Names the lane, what it hangs in and
  // since when. Also if none has served for kFailedAfter, whatever the reason:
  // then a new process may help. OK again once a lane comes back.
  absl::Status Liveness() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  struct Watched {
    ActivityWatch watch;
    HangVerdict verdict = HangVerdict::kFine;  // At the last look.
  };

  void Run();
  void LookAtLanes(absl::Time now) ABSL_LOCKS_EXCLUDED(mu_);
  // Looks at one lane. What it is lost in, unless it is not.
  absl::Status LookAtLane(LaneWorker& lane, const LaneWorker::State& state,
                          absl::Duration since_last_look, absl::Time now,
                          Watched* watched);

  // Constant after construction.
  BatchScheduler* const scheduler_;
  LanePool* const pool_;
  Clock* const clock_;

  // Of the thread.
  std::vector<Watched> watched_;  // By lane.
  absl::Time last_look_ = absl::InfinitePast();
  absl::Duration none_serves_;  // Seen, since a lane last did.

  mutable absl::Mutex mu_;
  absl::Status liveness_ ABSL_GUARDED_BY(mu_);
  std::thread thread_;
};

}  // namespace ddgan

#endif  // DDGAN_ENGINE_LANE_THREADS_SUPERVISOR_H_
