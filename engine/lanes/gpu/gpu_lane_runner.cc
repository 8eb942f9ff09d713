#include "engine/lanes/gpu/gpu_lane_runner.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "engine/base/check_range.h"
#include "engine/base/libtorch_errors.h"
#include "engine/lanes/gpu/device_ops.h"
#include "engine/lanes/gpu/gpu_step_backend.h"
#include "engine/lanes/lane_runner.h"

namespace ddgan {
namespace {

absl::StatusOr<std::unique_ptr<DeviceOps>> OpsOf(const std::string& device) {
  if (device == "cpu") return NewCpuOps();
  absl::string_view index = device;
  int number = 0;
  if (!absl::ConsumePrefix(&index, "cuda:") ||
      !absl::SimpleAtoi(index, &number) || number < 0 || number > 127) {
    return absl::InvalidArgumentError(absl::StrCat(
        "device is '", device, "', must be cpu or cuda:N, N in [0, 127]"));
  }
  return NewCudaOps(number);
}

}  // namespace

absl::StatusOr<std::unique_ptr<BatchRunner>> CreateGpuLaneRunner(
    const GpuLaneRunnerOptions& options) {
  for (const absl::Status& status :
       {CheckRange("pinned_batch", options.pinned_batch, 1, 256),
        CheckRange("max_batch_size", options.max_batch_size, 1, 4096),
        CheckRange("max_trajectories", options.max_trajectories,
                   options.max_batch_size, kMaxTrajectories)}) {
    if (!status.ok()) return status;
  }
  if (options.device == "cpu" && options.precision == Precision::kTf32) {
    return absl::InvalidArgumentError(
        "precision is tf32, which the cpu does not have");
  }
  using Created = absl::StatusOr<std::unique_ptr<BatchRunner>>;
  return CatchingLibTorch(options.device, [&]() -> Created {
    absl::StatusOr<std::unique_ptr<DeviceOps>> ops = OpsOf(options.device);
    if (!ops.ok()) return ops.status();
    return NewLaneRunner({options.max_batch_size, options.max_trajectories},
                         NewGpuStepBackend(options, *std::move(ops)));
  });
}

}  // namespace ddgan
