#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAStream.h>

#include <algorithm>

#include "engine/diffusion/philox.h"
#include "trainer/step/normal_rows_gpu.h"

namespace ddgan {
namespace {

constexpr int kThreads = 128;

constexpr int64_t kMaxGridRows = 65'535;  // CUDA's.

// One thread per four elements, one line of the grid per row, or per some rows
// where there are more than a grid has lines.
__global__ void FillKernel(NormalRows fill) {
  const int64_t block = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  const int64_t first = 4 * block;
  if (first >= fill.numel) return;
  for (int64_t r = blockIdx.y; r < fill.rows; r += gridDim.y) {
    float noise[4];
    NormalBlock({fill.seed, static_cast<uint32_t>(fill.row_index[r]), fill.step,
                 static_cast<NoiseStream>(fill.stream)},
                static_cast<uint32_t>(block), noise);
    float* out = fill.out + r * fill.numel;
    for (int64_t j = 0; j < 4 && first + j < fill.numel; ++j) {
      out[first + j] = noise[j];
    }
  }
}

}  // namespace

void FillNormalRowsGpu(const NormalRows& fill) {
  const int64_t blocks = (fill.numel + 3) / 4;
  const dim3 grid(static_cast<unsigned>((blocks + kThreads - 1) / kThreads),
                  static_cast<unsigned>(std::min(fill.rows, kMaxGridRows)));
  FillKernel<<<grid, kThreads, 0, c10::cuda::getCurrentCUDAStream()>>>(fill);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

}  // namespace ddgan
