// What a lane does next.
#ifndef DDGAN_ENGINE_SCHEDULING_LANE_BATCH_H_
#define DDGAN_ENGINE_SCHEDULING_LANE_BATCH_H_

#include <memory>
#include <vector>

#include "engine/api/engine_observer.h"
#include "engine/lanes/batch_runner.h"
#include "engine/requests/servable_version.h"

namespace ddgan {

// Filled by BatchScheduler::NextBatch and reused from tick to tick. It owns all
// that its rows point to, so that a lane that hangs in a step of requests that
// have ended meanwhile reads no memory that was freed.
struct LaneBatch {
  // Trajectories that will not go on; tell the runner before it runs `rows`.
  std::vector<TrajectoryId> forget;
  // May be empty: then there is nothing to run, and no FinishBatch follows.
  std::vector<StepRow> rows;
  // What all rows belong to; null if there are none.
  std::shared_ptr<const ServableVersion> version;
  // Planes of the rows' guides.
  std::vector<std::shared_ptr<const std::vector<float>>> guides;
  // Those of `rows` that are of traced requests.
  std::vector<TracedStep::Row> traced;

  // Ready to be filled again, in the same memory.
  void Clear() {
    forget.clear();
    rows.clear();
    version.reset();
    guides.clear();
    traced.clear();
  }
};

}  // namespace ddgan

#endif  // DDGAN_ENGINE_SCHEDULING_LANE_BATCH_H_
