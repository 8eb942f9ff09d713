#include "engine/lanes/gpu/gpu_lane.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "engine/lanes/gpu/row_kernels.h"
#include "engine/lanes/gpu/shape_recorder.h"
#include "engine/lanes/gpu/step_shapes.h"

namespace ddgan {

GpuLane::GpuLane(const GpuLaneRunnerOptions& lane_options,
                 std::unique_ptr<DeviceOps> lane_ops)
    : options(lane_options),
      ops(std::move(lane_ops)),
      shape_rows(ShapesToRecord(options.max_batch_size, options.pinned_batch)),
      convolutions(ops->NewConvolutions(options.precision)) {
  const int64_t rows = std::max<int64_t>(options.max_batch_size,
                                         ShapeRecorder::kMostTestImages) +
                       shape_rows.back();
  host_rows = ops->HostMemory(rows * static_cast<int64_t>(sizeof(DeviceRow)));
  host_not_finite =
      ops->HostMemory(rows * static_cast<int64_t>(sizeof(int32_t)))
          .view(at::kInt);
  host_pixels = ops->HostMemory(0);
}

}  // namespace ddgan
