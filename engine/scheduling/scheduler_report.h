// What came of a change in the scheduler, to be told once its lock is released.
#ifndef DDGAN_ENGINE_SCHEDULING_SCHEDULER_REPORT_H_
#define DDGAN_ENGINE_SCHEDULING_SCHEDULER_REPORT_H_

#include <array>
#include <memory>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "engine/api/engine_observer.h"
#include "engine/requests/result_outbox.h"
#include "engine/requests/servable_version.h"

namespace ddgan {

// Filled under the lock, emitted without it. Reuses its memory.
// Thread-compatible.
struct SchedulerReport {
  // Requests whose first step starts, and how long they waited for it.
  std::vector<std::pair<std::shared_ptr<const ServableVersion>, absl::Duration>>
      queue_waits;
  // Images that were finished.
  std::vector<std::pair<std::shared_ptr<const ServableVersion>, int>> images;
  std::array<int, kNumWasteReasons> wasted_steps = {};  // By WasteReason.
  // Requests that have something to deliver; one may stand here twice.
  std::vector<std::shared_ptr<ResultOutbox>> outboxes;
  bool queue_changed = false;  // Places were taken or given up.
  bool wake_lanes = false;     // Idle lanes may find something to do.

  void AddWaste(WasteReason reason, int steps) {
    wasted_steps[static_cast<size_t>(reason)] += steps;
  }
  void AddOutbox(const std::shared_ptr<ResultOutbox>& outbox);

  // Tells `observer` all but the state of the queue.
  void Tell(EngineObserver& observer) const;
  // Delivers to the sinks. Returns how many requests have got OnFinished.
  int Deliver() const;

  void Clear();
};

}  // namespace ddgan

#endif  // DDGAN_ENGINE_SCHEDULING_SCHEDULER_REPORT_H_
