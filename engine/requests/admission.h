// Whether a request may take a place in the engine, and what it is told of its
// wait: pure functions of the engine's load.
#ifndef DDGAN_ENGINE_REQUESTS_ADMISSION_H_
#define DDGAN_ENGINE_REQUESTS_ADMISSION_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "engine/api/engine_observer.h"
#include "engine/api/generation.h"
#include "engine/requests/deadline_policy.h"
#include "engine/requests/servable_version.h"

namespace ddgan {

// What a request needs of the engine.
struct Claim {
  std::shared_ptr<const ServableVersion> version;  // Not null.
  std::string account = {};                        // GenerationRequest's.
  int images = 1;
  int first_step = 0;       // Of each image: steps after its first one.
  int64_t bytes = 0;        // Of its images, their results and its guide.
  int64_t image_bytes = 0;  // Each image's part of them.
  absl::Time deadline = absl::InfiniteFuture();
  absl::Time steps_deadline = absl::InfiniteFuture();  // StepsDeadline

  int64_t steps() const { return int64_t{images} * (first_step + 1); }
};

// The claim of `request`, which arrives at `now`: the request's guide counts
// both as the picture that comes and as the planes that are made of it.
Claim ClaimOf(const GenerationRequest& request,
              std::shared_ptr<const ServableVersion> version, absl::Time now);

// Takes `images` out of `claim`, which has as many, into the claim that is
// returned. Both count the guide then, since both may wait with it.
Claim TakeImages(int images, Claim* claim);

// The lanes that take work: how many, at least 1, and the rows that they take
// in a tick together, at least 1.
struct LaneCapacity {
  int lanes = 1;
  int rows = 1;
};

// What requests that have not finished and places that are held take.
struct QueueShare {
  int images = 0;
  int64_t bytes = 0;
};

// The engine as a newcomer finds it.
struct EngineLoad {
  bool draining = false;
  // Since when every lane has been out; InfiniteFuture if one is not.
  absl::Time all_down_since = absl::InfiniteFuture();
  absl::Duration outage_limit;
  LaneCapacity capacity;
  int images = 0;  // As QueueShare, of all accounts.
  int max_images = 0;
  int64_t bytes = 0;
  int64_t max_bytes = 0;
  QueueShare own;  // The part of the newcomer's account.
};

struct Refusal {
  RefusalReason reason = RefusalReason::kQueueFull;
  absl::Status status;  // Not OK.
};

// Unavailable or DeadlineExceeded where no request can be taken any more that
// has this deadline: the engine drains, every lane has been out for too long,
// or the deadline has passed.
std::optional<Refusal> CheckOpen(const EngineLoad& load, absl::Time deadline,
                                 absl::Time now);

// If there is no room for the claim's images or bytes: InvalidArgument if there
// never is, else ResourceExhausted with a retry hint (retry_hint.h). To an
// account that has images here already there is no more room than for it to
// have as much as stays free for others.
std::optional<Refusal> CheckRoom(const EngineLoad& load, const Claim& claim);

// DeadlineExceeded if, by the measured cost of steps, the claim's deadline
// cannot be met, or one of `by_deadline` behind it could not be met any more.
// `by_deadline` is what was promised before, earliest deadline first; the claim
// is inserted. `busy` is the longest that the tick under way may take.
// A version that was never measured is given the benefit of the doubt.
std::optional<Refusal> CheckDeadline(const EngineLoad& load, const Claim& claim,
                                     absl::Duration busy, absl::Time now,
                                     std::vector<DeadlineWork>* by_deadline);

// What a step of the batch that forms with `images` unfinished takes. Nothing
// while the version's cost is unknown.
std::optional<absl::Duration> TickTime(const ServableVersion& version,
                                       LaneCapacity capacity, int images);

// How long a newcomer waits for its first step behind `images` others, if all
// run in order of arrival. Nothing while the version's cost is unknown.
std::optional<absl::Duration> ExpectedStart(const ServableVersion& version,
                                            LaneCapacity capacity, int images);

}  // namespace ddgan

#endif  // DDGAN_ENGINE_REQUESTS_ADMISSION_H_
