// The real BatchRunner: keeps the images in flight of one lane, steps them with
// a Sampler, and converts what is finished to the pixels that were asked for.
// No LibTorch in this header.
#ifndef DDGAN_ENGINE_LANES_IMAGE_BATCH_RUNNER_H_
#define DDGAN_ENGINE_LANES_IMAGE_BATCH_RUNNER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "engine/lanes/batch_runner.h"

namespace ddgan {

struct ImageBatchRunnerOptions {
  std::string device = "cpu";  // Only "cpu".
  int threads = 1;             // Images that run side by side. [1, 256]
  int max_batch_size = 32;     // Rows of one step. [1, 256]
  // Images in flight; a row that would start one more is refused. Each holds
  // one float32 image. [max_batch_size, 1e6]
  int max_trajectories = 1024;
};

//   InvalidArgument  an option out of its range
//   Unimplemented    another device
//   Internal         a thread could not be started
absl::StatusOr<std::unique_ptr<BatchRunner>> CreateImageBatchRunner(
    const ImageBatchRunnerOptions& options);

}  // namespace ddgan

#endif  // DDGAN_ENGINE_LANES_IMAGE_BATCH_RUNNER_H_
