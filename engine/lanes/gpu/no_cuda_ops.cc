#include "engine/lanes/gpu/device_ops.h"

namespace ddgan {

absl::StatusOr<std::unique_ptr<DeviceOps>> NewCudaOps(int) {
  return absl::UnimplementedError(
      "a lane on a GPU was asked for, but this build has no CUDA "
      "(cmake -DDDGAN_ENABLE_CUDA=ON)");
}

}  // namespace ddgan
