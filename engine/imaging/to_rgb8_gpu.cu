#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "engine/imaging/to_rgb8_gpu.h"

namespace ddgan {
namespace {

// The _rn intrinsics are never fused, so this rounds like the CPU version.
__device__ uint8_t ToByte(float x) {
  const float clamped = x > -1.0f ? (x < 1.0f ? x : 1.0f) : -1.0f;
  const float scaled = __fmul_rn(__fadd_rn(clamped, 1.0f), 127.5f);
  return static_cast<uint8_t>(__fadd_rn(scaled, 0.5f));
}

// One thread per pixel: reads of each plane are coalesced, and the bytes of a
// warp's pixels are neighbours.
__global__ void ToRgb8Kernel(const float* planes, int64_t count,
                             int64_t channels, int64_t pixels, uint8_t* rows) {
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
       i < count * pixels; i += stride) {
    const int64_t image = i / pixels;
    const int64_t pixel = i % pixels;
    const float* from = planes + image * channels * pixels + pixel;
    uint8_t* to = rows + i * channels;
    for (int64_t c = 0; c < channels; ++c) to[c] = ToByte(from[c * pixels]);
  }
}

}  // namespace

absl::Status ToRgb8Gpu(const float* planes, int64_t count, int64_t channels,
                       int64_t pixels, uint8_t* rows, int device) {
  constexpr int64_t kThreads = 256;
  constexpr int64_t kMaxBlocks = 4096;  // The loop takes what is left.
  const int64_t blocks =
      std::min(kMaxBlocks, (count * pixels + kThreads - 1) / kThreads);
  const c10::cuda::CUDAGuard guard(static_cast<c10::DeviceIndex>(device));
  ToRgb8Kernel<<<static_cast<unsigned>(blocks), kThreads, 0,
                 c10::cuda::getCurrentCUDAStream()>>>(planes, count, channels,
                                                      pixels, rows);
  const cudaError_t error = cudaGetLastError();
  if (error != cudaSuccess) {
    return absl::InternalError(absl::StrCat("cannot convert images on GPU ",
                                            device, ": ",
                                            cudaGetErrorString(error)));
  }
  return absl::OkStatus();
}

}  // namespace ddgan
