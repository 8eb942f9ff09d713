#include "engine/scheduling/scheduler_report.h"

namespace ddgan {

void SchedulerReport::AddOutbox(const std::shared_ptr<ResultOutbox>& outbox) {
  // The rows of a request stand side by side, so looking at the last is enough
  // to keep most duplicates out; one that slips in is harmless.
  if (outboxes.empty() || outboxes.back() != outbox) outboxes.push_back(outbox);
}

void SchedulerReport::Tell(EngineObserver& observer) const {
  for (const auto& [version, wait] : queue_waits) {
    observer.OnQueueWait(version->identity, wait);
  }
  for (const auto& [version, count] : images) {
    observer.OnImages(version->identity, count);
  }
  for (size_t reason = 0; reason < wasted_steps.size(); ++reason) {
    if (wasted_steps[reason] == 0) continue;
    observer.OnWastedSteps(static_cast<WasteReason>(reason),
                           wasted_steps[reason]);
  }
}

int SchedulerReport::Deliver() const {
  int finished = 0;
  for (const auto& outbox : outboxes) {
    if (outbox->Deliver()) ++finished;
  }
  return finished;
}

void SchedulerReport::Clear() {
  queue_waits.clear();
  images.clear();
  wasted_steps.fill(0);
  outboxes.clear();
  queue_changed = false;
  wake_lanes = false;
}

}  // namespace ddgan
