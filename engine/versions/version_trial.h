// Runs a loaded version before it may serve: a warm-up on every lane, then the
// canary.
#ifndef DDGAN_ENGINE_VERSIONS_VERSION_TRIAL_H_
#define DDGAN_ENGINE_VERSIONS_VERSION_TRIAL_H_

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "engine/api/engine_observer.h"
#include "engine/base/clock.h"
#include "engine/lane_threads/lane_pool.h"
#include "engine/lanes/batch_runner.h"
#include "engine/requests/servable_version.h"
#include "engine/scheduling/batch_policy.h"
#include "engine/versions/canary.h"
#include "engine/versions/model_versions.h"

namespace ddgan {

// The batch sizes that a warm-up runs: 1, 2, 4, ... and `max_batch_size`, or
// only the first and the last.
std::vector<int> WarmUpSizes(int max_batch_size, bool every_bucket);

// Batches of one version on one lane, of each of `sizes` in turn, one step at a
// time and kWarmUpSteps of each. Memory is allocated, kernels are chosen and
// steps are measured (version.costs) here instead of in someone's request.
// Whole trajectories are the canary's. Thread-compatible.
class WarmUp {
 public:
  // The first step of a size also allocates and compiles; the second is as all
  // later ones.
  static constexpr int kWarmUpSteps = 2;

  // Shares the weights and the costs of `version`. `sizes` is not empty.
  WarmUp(const ServableVersion& version, std::vector<int> sizes)
      : version_(version), sizes_(std::move(sizes)) {}

  // Runs the next step. Errors as BatchRunner::RunStep, with size and step.
  absl::StatusOr<LanePool::Slice> RunNext(BatchRunner& runner);
  // Runs all that are left.
  absl::Status RunAll(BatchRunner& runner);

 private:
  const ServableVersion version_;
  const std::vector<int> sizes_;
  size_t next_ = 0;  // In sizes_.
  int steps_done_ = 0;
  absl::Duration fastest_ = absl::InfiniteDuration();
  std::vector<StepRow> rows_;
};

// Makes the canary's images, a few at a time, one step at a time.
// Thread-compatible.
class CanaryRun {
 public:
  // More would hold up the lane's requests for longer than a step of theirs.
  static constexpr int kLargestBatch = 2;

  // Shares the weights of `version`.
  CanaryRun(const ServableVersion& version, int max_batch_size)
      : version_(version),
        max_batch_size_(std::min(max_batch_size, kLargestBatch)) {}

  // Runs the next step. Errors as BatchRunner::RunStep.
  absl::StatusOr<LanePool::Slice> RunNext(BatchRunner& runner);

  // All images, as MeasureCanary takes them, once RunNext has said that no more
  // follow.
  const std::vector<float>& pixels() const { return pixels_; }

 private:
  const ServableVersion version_;
  const int max_batch_size_;
  int images_done_ = 0;
  int steps_done_ = 0;  // Of the images under way.
  std::vector<StepRow> rows_;
  std::vector<float> pixels_;
};

// What EngineCore gives to its VersionLoader. A version in whose steps a lane
// hangs is refused, as one whose steps fail. Thread-compatible.
class VersionTrial {
 public:
  // `pool`, `observer` and `clock` must outlive the trial.
  VersionTrial(std::vector<BatchLimits> lane_limits, bool every_bucket,
               CanaryBounds bounds, LanePool* pool, EngineObserver* observer,
               Clock* clock);

  // Warms up and measures `next` on every lane and compares its canary with
  // that of `live` (null: no comparison). Blocks; lanes go on serving
  // meanwhile.
  VersionVerdict Run(ServableVersion& next, const ServableVersion* live);

 private:
  absl::Status WarmUpEveryLane(const ServableVersion& next);
  absl::StatusOr<std::vector<float>> MakeCanary(const ServableVersion& next);

  const std::vector<BatchLimits> lane_limits_;
  const bool every_bucket_;
  const CanaryBounds bounds_;
  LanePool* const pool_;
  EngineObserver* const observer_;
  Clock* const clock_;
};

}  // namespace ddgan

#endif  // DDGAN_ENGINE_VERSIONS_VERSION_TRIAL_H_
