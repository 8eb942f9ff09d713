// The CUDA version behind ToRgb8. to_rgb8_gpu.cu implements it, or
// to_rgb8_no_gpu.cc in a build without CUDA. No type of LibTorch, CUDA or
// C++20, so that either compiler can read it.
#ifndef DDGAN_ENGINE_IMAGING_TO_RGB8_GPU_H_
#define DDGAN_ENGINE_IMAGING_TO_RGB8_GPU_H_

#include <cstdint>

#include "absl/status/status.h"

namespace ddgan {

// Enqueues on LibTorch's current stream of GPU `device` and returns without
// waiting: planes [count, channels, pixels] at `planes` to interleaved
// [count, pixels, channels] at `rows`, both on that GPU.
//   Unimplemented  this build has no CUDA
//   Internal       the launch failed
absl::Status ToRgb8Gpu(const float* planes, int64_t count, int64_t channels,
                       int64_t pixels, uint8_t* rows, int device);

}  // namespace ddgan

#endif  // DDGAN_ENGINE_IMAGING_TO_RGB8_GPU_H_
