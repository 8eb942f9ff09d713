#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAStream.h>

#include "engine/lanes/gpu/row_kernels_gpu.h"

namespace ddgan {
namespace {

constexpr int kThreads = 128;  // A power of two.

// One thread per block of four elements, one line of the grid per row.
__global__ void StartRowsKernel(RowBuffers buffers) {
  const int64_t block = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (block < StartBlocks(buffers)) StartBlock(buffers, blockIdx.y, block);
}

// One block of threads per row, which adds up in one order whatever the batch.
__global__ void MeasureRowsKernel(RowBuffers buffers) {
  const int64_t row = blockIdx.x;
  if (!(buffers.row[row].correction.alpha > 0)) return;
  double squares[2] = {0, 0};
  for (int64_t block = threadIdx.x; block < FinishBlocks(buffers);
       block += kThreads) {
    AddSquares(buffers, row, block, squares);
  }
  __shared__ double sums[2][kThreads];
  sums[0][threadIdx.x] = squares[0];
  sums[1][threadIdx.x] = squares[1];
  for (unsigned half = kThreads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) {
      sums[0][threadIdx.x] += sums[0][threadIdx.x + half];
      sums[1][threadIdx.x] += sums[1][threadIdx.x + half];
    }
  }
  if (threadIdx.x == 0) {
    buffers.squares[2 * row] = sums[0][0];
    buffers.squares[2 * row + 1] = sums[1][0];
  }
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
  if (buffers.squares != nullptr) {
    MeasureRowsKernel<<<static_cast<unsigned>(buffers.rows), kThreads, 0,
                        c10::cuda::getCurrentCUDAStream()>>>(buffers);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  }
  FinishRowsKernel<<<Grid(FinishBlocks(buffers), buffers.rows), kThreads, 0,
                     c10::cuda::getCurrentCUDAStream()>>>(buffers);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

}  // namespace ddgan
