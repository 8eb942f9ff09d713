// The BatchRunner of every lane, whatever its device: it keeps account of the
// images in flight, takes all memory before a step so that a step which fails
// has moved no row, and collects what is finished. A StepBackend computes. No
// LibTorch in this header.
#ifndef DDGAN_ENGINE_LANES_LANE_RUNNER_H_
#define DDGAN_ENGINE_LANES_LANE_RUNNER_H_

#include <memory>

#include "engine/lanes/batch_runner.h"
#include "engine/lanes/step_backend.h"

namespace ddgan {

// What a lane may be made for: as many as EngineOptions::max_queued_images may
// be, and a batch of a version on trial.
constexpr int kMaxTrajectories = 1'000'000 + 256;

struct LaneLimits {
  int max_batch_size = 1;  // Rows of one step. >= 1
  // Images in flight; a row that would start one more is refused.
  // >= max_batch_size
  int max_trajectories = 1;
};

// A model is loaded when a batch first asks for it; all of its memory on the
// device goes when nobody holds the Model any more, at the next call to the
// runner.
std::unique_ptr<BatchRunner> NewLaneRunner(
    const LaneLimits& limits, std::unique_ptr<StepBackend> backend);

}  // namespace ddgan

#endif  // DDGAN_ENGINE_LANES_LANE_RUNNER_H_
