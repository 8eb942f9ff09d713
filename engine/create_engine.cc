// Gives EngineCore its real parts: the model directory, LibTorch's loader, and
// a lane that runs generators.
#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/api/engine.h"
#include "engine/api/engine_observer.h"
#include "engine/base/cuda_devices.h"
#include "engine/base/folder_events.h"
#include "engine/base/host_cpus.h"
#include "engine/base/host_memory.h"
#include "engine/checkpoint/model_loader.h"
#include "engine/engine_core.h"
#include "engine/lane_threads/device_list.h"
#include "engine/lane_threads/lane_pool.h"
#include "engine/lanes/cpu/cpu_lane_runner.h"
#include "engine/lanes/gpu/gpu_lane_runner.h"
#include "engine/model/model_use.h"
#include "engine/scheduling/batch_policy.h"
#include "engine/versions/version_source.h"

namespace ddgan {
namespace {

int ThreadsOrOnePerCpu(int threads) {
  return threads > 0 ? threads : std::min(UsableCpus(), 256);
}

// Values are one for all or one for each.
template <typename T>
T OfLane(const std::vector<T>& values, size_t lane, T unset) {
  if (values.empty()) return unset;
  return values.size() == 1 ? values[0] : values[lane];
}

BatchLimits LimitsOfLane(const EngineOptions& options, const LaneDevice& device,
                         size_t lane) {
  const int default_size =
      device.device == "cpu"
          ? std::min(
                EngineOptions::kDefaultRowsPerCpuThread * device.cpu_threads,
                256)
          : EngineOptions::kDefaultCudaBatch;
  BatchLimits limits;
  limits.max_batch_size = OfLane(options.max_batch_sizes, lane, default_size);
  limits.max_wait = OfLane(options.max_batch_waits, lane, absl::ZeroDuration());
  return limits;
}

LanePool::LaneOptions LaneOf(const EngineOptions& options,
                             const LaneDevice& device, int max_batch_size) {
  // More than the queue admits are never in flight, and beside them a version
  // on trial fills one batch.
  const int max_trajectories = options.max_queued_images + max_batch_size;
  if (device.device == "cpu") {
    CpuLaneRunnerOptions runner;
    runner.threads = device.cpu_threads;
    runner.cpus = device.cpus;
    runner.max_batch_size = max_batch_size;
    runner.max_trajectories = max_trajectories;
    return {device.name, [runner](const LaneWorker::NoticeTaker&) {
              return CreateCpuLaneRunner(runner);
            }};
  }
  GpuLaneRunnerOptions runner;
  runner.device = device.device;
  runner.precision = options.precision;
  runner.pinned_batch = options.pinned_batch;
  runner.max_batch_size = max_batch_size;
  runner.max_trajectories = max_trajectories;
  return {device.name,
          [runner](const LaneWorker::NoticeTaker& on_notice) mutable {
            runner.on_notice = on_notice;
            return CreateGpuLaneRunner(runner);
          }};
}

}  // namespace

absl::StatusOr<std::unique_ptr<Engine>> CreateEngine(
    const EngineOptions& options, EngineObserver* observer, Clock* clock) {
  const absl::Status valid = ValidateEngineOptions(options);
  if (!valid.ok()) return valid;

  absl::StatusOr<std::vector<LaneDevice>> devices =
      ParseDevices(options.devices, ThreadsOrOnePerCpu(options.cpu_threads),
                   CudaDeviceCount());
  if (!devices.ok()) return devices.status();
  const auto per_lane = [&](const char* option, size_t given) -> absl::Status {
    if (given <= 1 || given == devices->size()) return absl::OkStatus();
    return absl::InvalidArgumentError(
        absl::StrCat(option, " has ", given, " values for ", devices->size(),
                     " lanes; allowed are one for all or one for each"));
  };
  absl::Status status =
      per_lane("max_batch_size", options.max_batch_sizes.size());
  status.Update(per_lane("max_batch_wait", options.max_batch_waits.size()));
  if (options.cpu_affinity) {
    status.Update(BindThreads(AllowedCpus(), &*devices));
  }
  if (!status.ok()) return status;

  EngineCore::Options core_options;
  std::vector<LanePool::LaneOptions> lanes;
  for (size_t i = 0; i < devices->size(); ++i) {
    const LaneDevice& device = (*devices)[i];
    const BatchLimits limits = LimitsOfLane(options, device, i);
    core_options.lane_limits.push_back(limits);
    lanes.push_back(LaneOf(options, device, limits.max_batch_size));
  }
  core_options.max_queued_images = options.max_queued_images;
  core_options.max_queued_bytes = options.max_queued_bytes;
  core_options.caller_weights = options.caller_weights;
  core_options.warm_up_every_bucket = options.warm_up_every_bucket;
  core_options.registry.keep_versions = options.keep_versions;
  core_options.registry.max_model_bytes = options.max_model_bytes > 0
                                              ? options.max_model_bytes
                                              : UsableHostMemory() / 2;
  core_options.state_dir = options.state_dir;
  core_options.poll_interval = options.poll_interval;
  core_options.canary_bounds = options.canary_bounds;
  const ModelUse use = devices->front().device == "cpu" ? ModelUse::kCpuLanes
                                                        : ModelUse::kGpuLanes;
  return EngineCore::Create(
      core_options, std::move(lanes),
      NewDirectoryVersionSource(
          options.model_root,
          [use](const Checkpoint& checkpoint, StopCheck stopped) {
            return LoadModel(checkpoint, use, stopped);
          }),
      NewFolderEvents(), observer, clock);
}

}  // namespace ddgan
