// Which trajectories a lane runs next: a pure function of queue, shares, limits
// and clock, so that every property of it is tested without a thread.
#ifndef DDGAN_ENGINE_SCHEDULING_BATCH_POLICY_H_
#define DDGAN_ENGINE_SCHEDULING_BATCH_POLICY_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "engine/api/generation.h"

namespace ddgan {

struct BatchLimits {
  // Trajectories in one batch. At least 1.
  int max_batch_size = 32;
  // Of these, at most so many that have not started. A scheduler lowers it when
  // other lanes are idle, so that they get their part.
  int max_new_rows = 1 << 30;
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
  // Index into Shares::flows.
  size_t flow = 0;
  // Of its request: RequestShare::finish.
  double finish = 0;
  absl::Time deadline = absl::InfiniteFuture();
  // Would miss the deadline it was promised if it had to wait for its share.
  bool urgent = false;
  // This step failed with it before, so it runs by itself until it is known
  // which row was to blame.
  bool alone = false;
};

// What one caller got of one class of requests.
struct FlowShare {
  RequestClass request_class = RequestClass::kInteractive;
  double weight = 1;   // > 0
  double service = 0;  // Rows that it got, each 1 / weight.
  // Memory of ChargeRows: whether it had rows left over, and what it was owed
  // before.
  bool waits = false;
  double behind = 0;
};

// Weighted fair queueing (Demers, Keshav, Shenker, SIGCOMM 1989) with requests
// in the place of packets, in two levels. Between classes: who has had the
// least service for its weight takes the next row. Within a class: the request
// that would be finished first if all callers were served side by side goes
// first, and is then finished in one go. So callers get their shares, a small
// request does not wait for a large one of somebody else, and yet large ones do
// not all get done late, as they would if their rows took turns.
//
// Only who waits comes to be owed anything: a class or caller that is given all
// that it asks for saves up nothing of its share, and who used what it left
// over owes nothing for it.
struct Shares {
  std::array<double, 2> class_service = {};  // By RequestClass, as `service`.
  // The service of a caller that always waited and always got its share.
  std::array<double, 2> virtual_time = {};
  // Sum of the weights of callers that have work.
  std::array<double, 2> active_weight = {};
  std::vector<FlowShare> flows;
};

// A request with work left.
struct RequestShare {
  size_t flow = 0;
  absl::Time deadline = absl::InfiniteFuture();
  double rows_left = 0;  // Steps of all its images that are still to run.
  // The virtual time at which it would be finished, set by AssignFinishTags.
  double finish = 0;
};

// `requests` in order of acceptance. Those of one flow follow one another by
// deadline, then by age. `scratch` is memory to reuse.
void AssignFinishTags(const Shares& shares, absl::Span<RequestShare> requests,
                      std::vector<size_t>* scratch);

// Weights of the classes while both have work: kInteractive, kBatch.
inline constexpr std::array<double, 2> kClassWeights = {16, 1};

struct BatchDecision {
  // Positions in `runnable`, ascending, all of one version. Empty: not yet.
  std::vector<size_t> rows;
  // If `rows` is empty: when to ask again, should nothing arrive before;
  // InfiniteFuture if nothing is runnable.
  absl::Time wait_until = absl::InfiniteFuture();

  // Memory of DecideBatch, reused from tick to tick.
  struct Scratch {
    std::array<std::vector<size_t>, 2> candidates;  // By class, in order.
    std::vector<size_t> urgent;
  } scratch;
};

// `runnable` is in order of acceptance, oldest first. `last_turn[v]` tells when
// the model of version v was last given a batch, in any unit that grows; a
// model that has had none counts from when it first got work.
//
// Urgent rows come first, earliest deadline first: a promise outranks a share.
// Then, of the class with the least service, the row with the earliest finish
// (ties: the oldest) heads the batch; of its caller's models the one whose
// last turn is longest ago is run, so that a burst for one model cannot hold up
// another, and of that model's versions the one whose row comes first, so that
// a new version does not overtake what waits for the old. Its rows are filled
// one by one in the same order. Without deadlines and other callers, what has
// started is therefore never overtaken.
//
// A version is held back only while it could not fill a batch, none of it has
// started, and its oldest has waited less than max_wait.
//
// Writes into `decision`, whose memory it reuses from tick to tick.
void DecideBatch(absl::Span<const RunnableTrajectory> runnable,
                 absl::Span<const uint64_t> last_turn, const Shares& shares,
                 const BatchLimits& limits, absl::Time now,
                 BatchDecision* decision);

// Adds `rows` of `runnable`, ascending, to what their callers and classes got,
// and moves virtual time on. Whoever had no row left over falls no further
// behind.
void ChargeRows(absl::Span<const RunnableTrajectory> runnable,
                absl::Span<const size_t> rows, Shares* shares);

// The service of a caller that comes back after having no work: it is owed
// nothing for the time that it was away, and still owes what it had too much.
double ServiceOnReturn(double service, double virtual_time);

}  // namespace ddgan

#endif  // DDGAN_ENGINE_SCHEDULING_BATCH_POLICY_H_
