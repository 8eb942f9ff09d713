// The lanes as the scheduler sees them: what each holds, and whether it takes
// work.
#ifndef DDGAN_ENGINE_SCHEDULING_LANE_TABLE_H_
#define DDGAN_ENGINE_SCHEDULING_LANE_TABLE_H_

#include <cstddef>
#include <memory>
#include <vector>

#include "absl/time/time.h"
#include "engine/lanes/batch_runner.h"
#include "engine/requests/admission.h"
#include "engine/requests/queued_request.h"
#include "engine/scheduling/batch_policy.h"
#include "engine/scheduling/lane_health.h"
#include "engine/scheduling/scheduler_report.h"

namespace ddgan {

struct LaneState {
  explicit LaneState(const BatchLimits& limits)
      : limits(limits), health(limits.max_batch_size) {}

  BatchLimits limits;
  LaneHealth health;
  bool up = true;
  bool idle = false;         // Its thread waits for work.
  bool interrupted = false;  // Its thread is to come back without any.
  absl::Time retry_at;       // Unless up.
  int hung_rows = 0;         // Of the batch that it runs; 0 if none.
  // The trajectories of its batch, in order of the batch's rows.
  std::vector<Trajectory*> running;
  // Trajectories whose x_t it still keeps and that will not go on.
  std::vector<TrajectoryId> forget;
  // Of the call that the lane's thread is in; used by that alone, with and
  // without the scheduler's lock. Empty between calls.
  std::unique_ptr<SchedulerReport> report = std::make_unique<SchedulerReport>();
};

// Thread-compatible.
class LaneTable {
 public:
  explicit LaneTable(const std::vector<BatchLimits>& limits);

  LaneState& operator[](size_t lane) { return lanes_[lane]; }
  const LaneState& operator[](size_t lane) const { return lanes_[lane]; }

  LaneCapacity capacity() const;
  int CountIdle() const;
  // Since when every lane has been out; InfiniteFuture if one is not.
  absl::Time all_down_since() const { return all_down_since_; }

  // The lane, which is up, takes no work until its backoff has passed and
  // Return.
  void TakeOut(size_t lane, absl::Time now);
  void Return(size_t lane);
  // A new runner could not be made; the lane's next backoff begins.
  void OnCreationFailed(size_t lane, absl::Time now);
  // The lane's thread, which hung, has come back after all. The lane's backoff
  // begins now.
  void OnThreadBack(size_t lane, absl::Time now);

 private:
  std::vector<LaneState> lanes_;
  absl::Time all_down_since_ = absl::InfiniteFuture();
};

}  // namespace ddgan

#endif  // DDGAN_ENGINE_SCHEDULING_LANE_TABLE_H_
