// Which trajectories a lane runs next: a pure function of queue, limits and
// clock, so that every property of it is tested without a thread.
#ifndef DDGAN_ENGINE_BATCH_POLICY_H_
#define DDGAN_ENGINE_BATCH_POLICY_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/time/time.h"
#include "absl/types/span.h"

namespace ddgan {

struct BatchLimits {
  // Trajectories in one batch. At least 1.
  int max_batch_size = 32;
  // How long a version's oldest image may be held back for a fuller batch
  // while none of that version has started. 0 or more.
  absl::Duration max_wait = absl::ZeroDuration();
};

// What the policy sees of a trajectory that the lane could run now.
struct RunnableTrajectory {
  // Small number that stands for the model version: an index into `last_turn`.
  size_t version = 0;
  // Has run a step before; it is never held back.
  bool started = false;
  // When its request was accepted.
  absl::Time accepted_at;
};

struct BatchDecision {
  // Positions in `runnable`, ascending, all of one version. Empty: not yet.
  std::vector<size_t> rows;
  // If `rows` is empty: when to ask again, should nothing arrive before;
  // InfiniteFuture if nothing is runnable.
  absl::Time wait_until = absl::InfiniteFuture();
};

// `runnable` is in order of acceptance, oldest first. `last_turn[v]` tells when
// version v was last given a batch, in any unit that grows; a version that has
// had none counts from when it first got work.
//
// Between versions: the one whose last turn is longest ago goes first (ties:
// the oldest trajectory), so a burst for one model cannot hold up another.
// Within a version: oldest first, at any mix of steps. What has started is
// therefore never overtaken, at most max_batch_size trajectories of a version
// are between two steps on a lane, and whoever arrives takes any free row of
// the next tick.
// A version is held back only while it could not fill a batch, none of it has
// started, and its oldest has waited less than max_wait.
//
// Writes into `decision`, whose memory it reuses from tick to tick.
void DecideBatch(absl::Span<const RunnableTrajectory> runnable,
                 absl::Span<const uint64_t> last_turn,
                 const BatchLimits& limits, absl::Time now,
                 BatchDecision* decision);

}  // namespace ddgan

#endif  // DDGAN_ENGINE_BATCH_POLICY_H_
