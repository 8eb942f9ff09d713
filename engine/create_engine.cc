// Gives EngineCore its real parts: the model directory, LibTorch's loader, and
// a lane that runs generators.
#include <algorithm>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "engine/checkpoint/model_loader.h"
#include "engine/checkpoint/version_source.h"
#include "engine/engine.h"
#include "engine/engine_core.h"
#include "engine/image_batch_runner.h"

namespace ddgan {
namespace {

int ThreadsOrOnePerCore(int threads) {
  if (threads > 0) return threads;
  // The cores that this process may use; 0 if nobody knows.
  return std::clamp(static_cast<int>(std::thread::hardware_concurrency()), 1,
                    256);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Engine>> CreateEngine(
    const EngineOptions& options, EngineObserver* observer, Clock* clock) {
  const absl::Status valid = ValidateEngineOptions(options);
  if (!valid.ok()) return valid;

  ImageBatchRunnerOptions runner_options;
  runner_options.device = options.device;
  runner_options.threads = ThreadsOrOnePerCore(options.cpu_threads);
  runner_options.max_batch_size = options.max_batch_size;
  // More than the queue admits are never in flight; a warm-up fills one batch.
  runner_options.max_trajectories =
      std::max(options.max_queued_images, options.max_batch_size);
  std::vector<DevicePool::LaneOptions> lanes = {
      {options.device,
       [runner_options] { return CreateImageBatchRunner(runner_options); }}};

  EngineCore::Options core_options;
  core_options.limits.max_batch_size = options.max_batch_size;
  core_options.limits.max_wait = options.max_batch_wait;
  core_options.max_queued_images = options.max_queued_images;
  return EngineCore::Create(
      core_options, std::move(lanes),
      NewDirectoryVersionSource(
          options.model_root,
          [device = options.device](const Checkpoint& checkpoint) {
            return LoadModel(checkpoint, device);
          }),
      observer, clock);
}

}  // namespace ddgan
