// The GPU's step, on whatever device the given DeviceOps are of: tests run it
// on the CPU.
#ifndef DDGAN_ENGINE_LANES_GPU_GPU_STEP_BACKEND_H_
#define DDGAN_ENGINE_LANES_GPU_GPU_STEP_BACKEND_H_

#include <memory>

#include "engine/lanes/gpu/device_ops.h"
#include "engine/lanes/gpu/gpu_lane_runner.h"
#include "engine/lanes/step_backend.h"

namespace ddgan {

// `options` are in their ranges; of the device only messages take its name from
// there. Throws what LibTorch throws.
std::unique_ptr<StepBackend> NewGpuStepBackend(
    const GpuLaneRunnerOptions& options, std::unique_ptr<DeviceOps> ops);

}  // namespace ddgan

#endif  // DDGAN_ENGINE_LANES_GPU_GPU_STEP_BACKEND_H_
