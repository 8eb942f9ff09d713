#include "engine/requests/deadline_policy.h"

#include <algorithm>

namespace ddgan {

absl::Time StepsDeadline(absl::Time accepted_at, absl::Time deadline) {
  if (deadline == absl::InfiniteFuture()) return deadline;
  return deadline -
         std::min((deadline - accepted_at) / 10, absl::Milliseconds(100));
}

absl::Duration TimeNeeded(absl::Span<const DeadlineWork> by_deadline, size_t i,
                          absl::Duration busy) {
  absl::Duration ahead;
  for (size_t k = 0; k <= i; ++k) ahead += by_deadline[k].work;
  return busy + std::max(ahead, by_deadline[i].path);
}

bool DeadlinesCanBeMet(absl::Span<const DeadlineWork> by_deadline, size_t first,
                       absl::Duration busy, absl::Time now) {
  absl::Duration ahead;
  for (size_t i = 0; i < by_deadline.size(); ++i) {
    ahead += by_deadline[i].work;
    if (i < first) continue;
    const DeadlineWork& entry = by_deadline[i];
    const auto is_late = [&](absl::Duration before) {
      return now + busy + kAdmissionMargin * std::max(before, entry.path) >
             entry.deadline;
    };
    if (!is_late(ahead)) continue;
    const bool late_anyway = i > first && !entry.waits_for_lanes &&
                             is_late(ahead - by_deadline[first].work);
    if (!late_anyway) return false;
  }
  return true;
}

size_t CountUrgent(absl::Span<const DeadlineWork> by_deadline,
                   absl::Duration busy, absl::Time now) {
  size_t urgent = 0;
  absl::Duration ahead;
  for (size_t i = 0; i < by_deadline.size(); ++i) {
    ahead += by_deadline[i].work;
    if (!by_deadline[i].waits_for_lanes) continue;
    // One more tick is what waiting costs.
    const absl::Duration needed =
        2 * busy + kUrgencyMargin * std::max(ahead, by_deadline[i].path);
    if (now + needed >= by_deadline[i].deadline) urgent = i + 1;
  }
  return urgent;
}

}  // namespace ddgan
