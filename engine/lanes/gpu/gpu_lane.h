// What the models of one GPU lane share.
#ifndef DDGAN_ENGINE_LANES_GPU_GPU_LANE_H_
#define DDGAN_ENGINE_LANES_GPU_GPU_LANE_H_

#include <ATen/core/Tensor.h>

#include <memory>
#include <vector>

#include "engine/lanes/gpu/device_ops.h"
#include "engine/lanes/gpu/gpu_lane_runner.h"
#include "engine/model/convolutions.h"

namespace ddgan {

struct GpuLane {
  // Throws what LibTorch throws.
  GpuLane(const GpuLaneRunnerOptions& options, std::unique_ptr<DeviceOps> ops);

  const GpuLaneRunnerOptions options;
  const std::unique_ptr<DeviceOps> ops;
  const std::vector<int> shape_rows;  // ShapesToRecord
  const std::unique_ptr<Convolutions> convolutions;
  // Host memory that the device copies from and to, reused from step to step:
  // enough for the rows of a batch or of the test images, the last shape
  // padded.
  at::Tensor host_rows;        // DeviceRow [rows], as uint8
  at::Tensor host_not_finite;  // int32 [rows]
  at::Tensor host_pixels;      // uint8, see PixelLayout; grows when asked for.
};

}  // namespace ddgan

#endif  // DDGAN_ENGINE_LANES_GPU_GPU_LANE_H_
