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

  // A step of `rows` rows, [1, 256], took `time`; of more than twice the
  // average only that much counts.
  void Record(int rows, absl::Duration time);

  // The expected time of a step of `rows` rows. A bucket that was never
  // measured borrows from its neighbours, on the safe side: a row of a larger
  // batch costs no more than one of a smaller batch, and a smaller batch takes
  // no longer than a larger one. Nothing if there is no measurement at all.
  std::optional<absl::Duration> StepTime(int rows) const;

 private:
  // Nanoseconds per row; 0: not measured.
  std::array<std::atomic<int64_t>, kNumBuckets> row_ns_ = {};
};

}  // namespace ddgan

#endif  // DDGAN_ENGINE_REQUESTS_STEP_COSTS_H_
