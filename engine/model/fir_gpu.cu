#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAStream.h>

#include "engine/model/fir_gpu.h"

namespace ddgan {
namespace {

constexpr int kThreads = 256;

// One thread per output value. Neighbouring threads have neighbouring channels,
// so that reads and writes are coalesced; a line of the grid is one line of one
// image.
template <typename T>
__global__ void FirPassKernel(FirPass pass, const T* in, T* out) {
  const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i >= pass.out_width * pass.channels) return;
  const int64_t y = blockIdx.y;
  for (int64_t image = blockIdx.z; image < pass.batch; image += gridDim.z) {
    const T* from = in + image * pass.height * pass.width * pass.channels;
    T* to =
        out + (image * pass.out_height + y) * pass.out_width * pass.channels;
    to[i] = static_cast<T>(
        FirValue(pass, from, y, i / pass.channels, i % pass.channels));
  }
}

template <typename T>
void Launch(const FirPass& pass, const T* in, T* out) {
  constexpr int64_t kMaxDepth = 65535;  // Of a grid; the loop takes the rest.
  const int64_t blocks =
      (pass.out_width * pass.channels + kThreads - 1) / kThreads;
  const dim3 grid(
      static_cast<unsigned>(blocks), static_cast<unsigned>(pass.out_height),
      static_cast<unsigned>(pass.batch < kMaxDepth ? pass.batch : kMaxDepth));
  FirPassKernel<<<grid, kThreads, 0, c10::cuda::getCurrentCUDAStream()>>>(
      pass, in, out);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

}  // namespace

void FirGpu(const FirPass& pass, const float* in, float* out) {
  Launch(pass, in, out);
}

void FirGpu(const FirPass& pass, const c10::BFloat16* in, c10::BFloat16* out) {
  Launch(pass, in, out);
}

}  // namespace ddgan
