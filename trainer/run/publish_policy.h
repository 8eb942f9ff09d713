// When a run publishes, and which of its versions stay on disk. Pure.
#ifndef DDGAN_TRAINER_RUN_PUBLISH_POLICY_H_
#define DDGAN_TRAINER_RUN_PUBLISH_POLICY_H_

#include <cstdint>
#include <vector>

#include "absl/time/time.h"

namespace ddgan {

struct PublishIntervals {
  int64_t steps = 1000;  // >= 1
  // Above 0; infinite: by steps only.
  absl::Duration time = absl::InfiniteDuration();
};

// Whether to publish after `steps_done` steps, `since_last` after the version
// before, or after the run's start if there is none.
bool PublishIsDue(const PublishIntervals& intervals, int64_t steps_done,
                  absl::Duration since_last);

struct Retention {
  // The newest so many stay. 0: all.
  int64_t last = 0;
  // So does the first version at or after each multiple of so many steps. A
  // version's number is its training step. 0: none for that reason.
  int64_t every = 0;
};

// Those of `published`, ascending, that are to be removed, ascending. What it
// keeps of them it keeps again when asked about the rest and newer ones, but
// for what is no longer among the last.
std::vector<int64_t> VersionsToRemove(const std::vector<int64_t>& published,
                                      const Retention& retention);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_RUN_PUBLISH_POLICY_H_
