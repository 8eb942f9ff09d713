// The runner of engine/lanes/tensor_batch_runner.h on a device of the caller's,
// which need not be a real one.
#ifndef DDGAN_ENGINE_LANES_GPU_DEVICE_BATCH_RUNNER_H_
#define DDGAN_ENGINE_LANES_GPU_DEVICE_BATCH_RUNNER_H_

#include <memory>

#include "engine/lanes/batch_runner.h"
#include "engine/lanes/gpu/device_ops.h"
#include "engine/lanes/tensor_batch_runner.h"

namespace ddgan {

// `options` are in their ranges; of the device only messages take its name from
// there. Throws what LibTorch throws.
std::unique_ptr<BatchRunner> NewDeviceBatchRunner(
    const TensorBatchRunnerOptions& options, std::unique_ptr<DeviceOps> ops);

}  // namespace ddgan

#endif  // DDGAN_ENGINE_LANES_GPU_DEVICE_BATCH_RUNNER_H_
