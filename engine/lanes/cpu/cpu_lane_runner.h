// A lane on the CPU: images of a batch run side by side on threads, each image
// on one, as one generator call of its own (sampler.h). So an image's bytes
// cannot depend on its company. Always float32. No LibTorch in this header.
#ifndef DDGAN_ENGINE_LANES_CPU_CPU_LANE_RUNNER_H_
#define DDGAN_ENGINE_LANES_CPU_CPU_LANE_RUNNER_H_

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/lanes/batch_runner.h"

namespace ddgan {

struct CpuLaneRunnerOptions {
  int threads = 1;  // Of the lane, which share out a batch. [1, 256]
  // The CPU that each thread stays on, the lane's own first; empty: none is
  // bound to any.
  std::vector<int> cpus;
  int max_batch_size = 32;  // Rows of one step. [1, 256]
  // Images in flight; a row that would start one more is refused. Each holds
  // one float32 image. [max_batch_size, 1e6]
  int max_trajectories = 1024;
};

// Sets LibTorch to one thread in this process: the lane's own threads run the
// steps. Models must have been loaded for CPU lanes (engine/model/model_use.h);
// others are an Internal error of RunStep.
//   InvalidArgument  an option out of its range
//   Internal         a thread could not be started, or may not be on its CPU
absl::StatusOr<std::unique_ptr<BatchRunner>> CreateCpuLaneRunner(
    const CpuLaneRunnerOptions& options);

}  // namespace ddgan

#endif  // DDGAN_ENGINE_LANES_CPU_CPU_LANE_RUNNER_H_
