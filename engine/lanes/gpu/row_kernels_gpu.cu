#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAStream.h>

#include "engine/lanes/gpu/row_kernels_gpu.h"

namespace ddgan {
namespace {

constexpr int kThreads = 128;

// One thread per block of four elements, one line of the grid per row.
__global__ void StartRowsKernel(RowBuffers buffers) {
  const int64_t block = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (block < StartBlocks(buffers)) StartBlock(buffers, blockIdx.y, block);
}

__global__ void FinishRowsKernel(RowBuffers buffers) {
  const int64_t block = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (block < FinishBlocks(buffers)) FinishBlock(buffers, blockIdx.y, block);
}

dim3 Grid(int64_t blocks, int64_t rows) {
  return dim3(static_cast<unsigned>((blocks + kThreads - 1) / kThreads),
              static_cast<unsigned>(rows));
}

}  // namespace

void StartRowsGpu(const RowBuffers& buffers) {
  StartRowsKernel<<<Grid(StartBlocks(buffers), buffers.rows), kThreads, 0,
                    c10::cuda::getCurrentCUDAStream()>>>(buffers);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

void FinishRowsGpu(const RowBuffers& buffers) {
  FinishRowsKernel<<<Grid(FinishBlocks(buffers), buffers.rows), kThreads, 0,
                     c10::cuda::getCurrentCUDAStream()>>>(buffers);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

}  // namespace ddgan
