// What a lane's worker calls with a batch. The real one (lane_runner.h) runs a
// generator; tests script it. No LibTorch: a model is an opaque handle here.
//
// An image's bytes follow from checkpoint, seed and image index, and from the
// kind of device that the lane computes on; on a GPU also from its model, the
// version of cuDNN, the number format and pinned_batch. They never depend on
// the other rows of a batch, on the number of threads or lanes, or on whether a
// step was run again.
#ifndef DDGAN_ENGINE_LANES_BATCH_RUNNER_H_
#define DDGAN_ENGINE_LANES_BATCH_RUNNER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "engine/api/generation.h"
#include "engine/base/pixel_buffer.h"

namespace ddgan {

class Model;  // engine/model/model.h

// One image in flight. Unique in the process.
using TrajectoryId = uint64_t;

// One row of a batch: a trajectory and the step, an evaluation of the network
// and the move that follows, that it takes now.
struct StepRow {
  TrajectoryId id = 0;
  uint64_t seed = 0;
  uint32_t image_index = 0;
  // Steps that it has still before it after this one: of N evaluations per
  // image N-1 first, 0 last. For the ancestral update rule it is the t that the
  // generator receives.
  int step = 0;
  PixelFormat pixel_format = PixelFormat::kUint8;
  // Set on the first step of a guided trajectory only: the picture, planes
  // [C, S, S] in [-1, 1], from which the state is diffused. Valid during
  // RunStep.
  const float* guide = nullptr;
  // Whether x0' is wanted, too; never at step 0.
  bool preview = false;
};

struct FinishedImage {
  size_t row = 0;      // Position in the batch.
  PixelBuffer pixels;  // In the row's pixel format.
};

struct StepOutcome {
  absl::Duration device_time;
  // What the weights of the models that were run and are still loaded, the
  // trajectories, and memory for more of them hold on the device after the
  // step; 0 if the runner does not know.
  int64_t device_memory_bytes = 0;
  std::vector<FinishedImage> finished;  // The rows that were at step 0.
  std::vector<FinishedImage> previews;  // x0' of the rows that asked for it.
  // Positions in the batch, ascending, of the rows whose output has an infinity
  // or a NaN. Such a row has ended: it is in neither list above, and the runner
  // has forgotten its trajectory. The other rows have moved on.
  std::vector<size_t> not_finite;

  // Ready for another step, in the same memory.
  void Clear() {
    device_time = absl::ZeroDuration();
    device_memory_bytes = 0;
    finished.clear();
    previews.clear();
    not_finite.clear();
  }
};

// Thread-compatible: one lane thread calls it. Neither method lets an exception
// out.
class BatchRunner {
 public:
  virtual ~BatchRunner() = default;

  // Runs one denoising step for every row, which may be at different steps.
  // Keeps the state of each trajectory on its device between calls; a row at
  // the first step or with a guide starts a new one, a row at step 0 ends it.
  // Blocks until the device is done. The outcome is the runner's and stays
  // until the next call; the caller may take the pixels out of it.
  //   ResourceExhausted  out of device or host memory
  //   Internal           anything else that went wrong, on the device or in
  //                      what was asked for
  // After an error no row has moved: the same rows may be run again.
  virtual absl::StatusOr<StepOutcome*> RunStep(
      const std::shared_ptr<const Model>& model,
      absl::Span<const StepRow> rows) = 0;

  // Frees what is kept for a trajectory that will not go on. Unknown ids are
  // ignored.
  virtual void Forget(absl::Span<const TrajectoryId> ids) = 0;
};

}  // namespace ddgan

#endif  // DDGAN_ENGINE_LANES_BATCH_RUNNER_H_
