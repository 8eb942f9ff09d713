#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAStream.h>

#include "engine/model/channel_vector.h"
#include "engine/model/fused_gpu.h"

namespace ddgan {
namespace {

constexpr int kThreads = 256;

// A line of the grid is one image.
template <typename T, int kWidth>
__global__ void AddBiasKernel(AddBiasPass pass, T* x, const T* other,
                              const float* bias) {
  using Vector = ChannelVector<T, kWidth>;
  const int columns = pass.channels / kWidth;
  const int vectors = static_cast<int>(pass.pixels) * columns;
  const int i = blockIdx.x * kThreads + threadIdx.x;
  if (i >= vectors) return;
  const int64_t at = int64_t{blockIdx.y} * vectors + i;
  const int channel = i % columns * kWidth;
  Vector vector = reinterpret_cast<const Vector*>(x)[at];
  Vector added = {};
  if (other != nullptr) added = reinterpret_cast<const Vector*>(other)[at];
#pragma unroll
  for (int v = 0; v < kWidth; ++v) {
    const float value = static_cast<float>(vector.values[v]) +
                        static_cast<float>(added.values[v]) + bias[channel + v];
    vector.values[v] = static_cast<T>(value * pass.factor);
  }
  reinterpret_cast<Vector*>(x)[at] = vector;
}

template <typename T, int kWidth>
void LaunchAddBias(const AddBiasPass& pass, T* x, const T* other,
                   const float* bias) {
  const int64_t vectors = pass.pixels * (pass.channels / kWidth);
  const dim3 grid(static_cast<unsigned>((vectors + kThreads - 1) / kThreads),
                  static_cast<unsigned>(pass.batch));
  AddBiasKernel<T, kWidth>
      <<<grid, kThreads, 0, c10::cuda::getCurrentCUDAStream()>>>(pass, x, other,
                                                                 bias);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

template <typename T>
void AddBias(const AddBiasPass& pass, T* x, const T* other, const float* bias) {
  if (pass.channels % kWidestChannelVector<T> == 0) {
    LaunchAddBias<T, kWidestChannelVector<T>>(pass, x, other, bias);
  } else {
    LaunchAddBias<T, 1>(pass, x, other, bias);
  }
}

}  // namespace

void AddBiasGpu(const AddBiasPass& pass, float* x, const float* other,
                const float* bias) {
  AddBias(pass, x, other, bias);
}

void AddBiasGpu(const AddBiasPass& pass, c10::BFloat16* x,
                const c10::BFloat16* other, const float* bias) {
  AddBias(pass, x, other, bias);
}

}  // namespace ddgan
