#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAStream.h>

#include "engine/model/fir_gpu.h"

namespace ddgan {
namespace {

constexpr int kThreads = 256;

// One thread per vector of output values. Neighbouring threads have
// neighbouring channels, so that reads and writes are coalesced; a line of the
// grid is one line of one image.
template <typename T, int kWidth>
__global__ void FirPassKernel(FirPass pass, const T* in, T* out) {
  const int columns = pass.channels / kWidth;
  const int i = blockIdx.x * kThreads + threadIdx.x;
  if (i >= pass.out_width * columns) return;
  const int y = blockIdx.y;
  const int x = i / columns, channel = i % columns * kWidth;
  for (int64_t image = blockIdx.z; image < pass.batch; image += gridDim.z) {
    const T* from = in + image * pass.height * pass.width * pass.channels;
    T* to =
        out + (image * pass.out_height + y) * pass.out_width * pass.channels;
    reinterpret_cast<ChannelVector<T, kWidth>*>(to)[i] =
        FirValues<T, kWidth>(pass, from, y, x, channel);
  }
}

template <typename T, int kWidth>
void LaunchVectors(const FirPass& pass, const T* in, T* out) {
  constexpr int64_t kMaxDepth = 65535;  // Of a grid; the loop takes the rest.
  const int threads = pass.out_width * (pass.channels / kWidth);
  const dim3 grid(
      static_cast<unsigned>((threads + kThreads - 1) / kThreads),
      static_cast<unsigned>(pass.out_height),
      static_cast<unsigned>(pass.batch < kMaxDepth ? pass.batch : kMaxDepth));
  FirPassKernel<T, kWidth>
      <<<grid, kThreads, 0, c10::cuda::getCurrentCUDAStream()>>>(pass, in, out);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

template <typename T>
void Launch(const FirPass& pass, const T* in, T* out) {
  if (pass.channels % kWidestChannelVector<T> == 0) {
    LaunchVectors<T, kWidestChannelVector<T>>(pass, in, out);
  } else {
    LaunchVectors<T, 1>(pass, in, out);
  }
}

}  // namespace

void FirGpu(const FirPass& pass, const float* in, float* out) {
  Launch(pass, in, out);
}

void FirGpu(const FirPass& pass, const c10::BFloat16* in, c10::BFloat16* out) {
  Launch(pass, in, out);
}

}  // namespace ddgan
