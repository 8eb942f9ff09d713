#include "engine/imaging/to_rgb8_gpu.h"

namespace ddgan {

absl::Status ToRgb8Gpu(const float*, int64_t, int64_t, int64_t, uint8_t*, int) {
  return absl::UnimplementedError(
      "images are on a GPU, but this build has no CUDA "
      "(cmake -DDDGAN_ENABLE_CUDA=ON)");
}

}  // namespace ddgan
