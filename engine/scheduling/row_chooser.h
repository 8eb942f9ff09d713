// The queue as batch_policy.h sees it, and the rows that it chooses.
#ifndef DDGAN_ENGINE_SCHEDULING_ROW_CHOOSER_H_
#define DDGAN_ENGINE_SCHEDULING_ROW_CHOOSER_H_

#include <cstddef>
#include <vector>

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "engine/requests/request_queue.h"
#include "engine/scheduling/batch_policy.h"
#include "engine/scheduling/flow_table.h"
#include "engine/scheduling/version_turns.h"

namespace ddgan {

// Reuses its memory from tick to tick. Thread-compatible.
class RowChooser {
 public:
  // The trajectories that `lane` runs next, in order of the queue; their
  // callers are charged for them in `flows`. If there are none: wait_until()
  // says when to ask again, should nothing change before.
  absl::Span<Trajectory* const> Choose(RequestQueue& queue,
                                       const VersionTurns& turns, size_t lane,
                                       const BatchLimits& limits,
                                       absl::Time now, FlowTable* flows);
  absl::Time wait_until() const { return decision_.wait_until; }

 private:
  // What the lane could run, into candidates_ and runnable_.
  void Collect(RequestQueue& queue, size_t lane);

  std::vector<RequestShare> request_shares_;
  std::vector<size_t> share_order_;
  std::vector<Trajectory*> candidates_;
  std::vector<RunnableTrajectory> runnable_;  // Of candidates_, same order.
  BatchDecision decision_;
  std::vector<Trajectory*> chosen_;
};

}  // namespace ddgan

#endif  // DDGAN_ENGINE_SCHEDULING_ROW_CHOOSER_H_
