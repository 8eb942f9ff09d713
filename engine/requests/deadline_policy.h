// Which deadlines can be met, as pure functions: a call whose deadline cannot
// be met is refused on arrival, and one that was accepted is run in time.
#ifndef DDGAN_ENGINE_REQUESTS_DEADLINE_POLICY_H_
#define DDGAN_ENGINE_REQUESTS_DEADLINE_POLICY_H_

#include <cstddef>

#include "absl/time/time.h"
#include "absl/types/span.h"

namespace ddgan {

// What a request with a deadline still needs, in measured device time.
struct DeadlineWork {
  absl::Time deadline;  // StepsDeadline
  // Of all its steps, divided by the lanes that share them.
  absl::Duration work;
  // Of the steps that must follow one another, each in a tick of its own.
  absl::Duration path;
  // False for a place that is held and not submitted yet. Its work counts, but
  // no lane can hasten it: nothing is hurried for its sake, nor refused once it
  // is late anyway.
  bool waits_for_lanes = true;
};

// Measured averages are no bounds; what is promised is this much more. Under
// overload it costs no throughput: the backlog is shorter, never empty.
inline constexpr double kAdmissionMargin = 1.5;
// A request becomes urgent while it still has this much more time than it
// needs.
inline constexpr double kUrgencyMargin = 1.25;

// When the last step of a request should be done, so that its images can still
// be encoded and sent: the last tenth of its time, at most 100 ms, is left for
// that. InfiniteFuture if that is the deadline.
absl::Time StepsDeadline(absl::Time accepted_at, absl::Time deadline);

// When each of `by_deadline`, earliest deadline first, would be done if they
// ran in that order from `now` on (EDF), behind a tick that takes `busy`:
// the time that entry `i` needs, counted from now.
absl::Duration TimeNeeded(absl::Span<const DeadlineWork> by_deadline, size_t i,
                          absl::Duration busy);

// Whether every one of `by_deadline` can still be met with kAdmissionMargin
// where entries from `first` on are looked at: a newcomer at `first` delays
// nobody before it.
bool DeadlinesCanBeMet(absl::Span<const DeadlineWork> by_deadline, size_t first,
                       absl::Duration busy, absl::Time now);

// How many of `by_deadline`, from the first on, must not wait for their share
// any longer: up to the last one that would otherwise come too close to its
// deadline.
size_t CountUrgent(absl::Span<const DeadlineWork> by_deadline,
                   absl::Duration busy, absl::Time now);

}  // namespace ddgan

#endif  // DDGAN_ENGINE_REQUESTS_DEADLINE_POLICY_H_
