// What a denoising step of one model version costs, as measured while serving:
// the numbers behind admission and expected waiting times.
#ifndef DDGAN_ENGINE_REQUESTS_STEP_COSTS_H_
#define DDGAN_ENGINE_REQUESTS_STEP_COSTS_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>

#include "absl/time/time.h"

namespace ddgan {

// An exponential average of a row's share of the step time per batch bucket
// (1, 2, 4, ..., 256 rows), over all lanes, which are taken to be alike.
// Thread-safe and lock-free; concurrent records may lose one another.
class StepCosts {
 public:
  static constexpr int kNumBuckets = 9;

  // Callers whose deadlines an estimate cannot meet are let in to measure anew
  // no more often than this.
  static constexpr absl::Duration kTrialInterval = absl::Seconds(10);

  // A step of `rows` rows, [1, 256], took `time`. Of more than twice what was
  // expected only that much counts: a step may stall. The average is at most
  // twice the newest time: no step is faster than it can be.
  void Record(int rows, absl::Duration time);

  // The expected time of a step of `rows` rows. A bucket that was never
  // measured borrows from its neighbours, on the safe side: a row of a larger
  // batch costs no more than one of a smaller batch, and a smaller batch takes
  // no longer than a larger one. Nothing if there is no measurement at all.
  std::optional<absl::Duration> StepTime(int rows) const;

  // Somebody is to be refused at `now` by these costs alone, although no other
  // request is there. True if he should be let in all the same: costs that
  // refuse everybody would never be measured again. Once in kTrialInterval,
  // counted from the first call.
  bool TakeTrial(absl::Time now);

 private:
  // Nanoseconds per row; 0: not measured.
  std::array<std::atomic<int64_t>, kNumBuckets> row_ns_ = {};
  // When the last trial was; 0: TakeTrial was never called.
  std::atomic<int64_t> trial_unix_ns_ = 0;
};

}  // namespace ddgan

#endif  // DDGAN_ENGINE_REQUESTS_STEP_COSTS_H_
