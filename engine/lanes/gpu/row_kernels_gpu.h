// The CUDA form of row_kernels.h. No type of LibTorch, CUDA or C++20, so that
// either compiler can read it.
#ifndef DDGAN_ENGINE_LANES_GPU_ROW_KERNELS_GPU_H_
#define DDGAN_ENGINE_LANES_GPU_ROW_KERNELS_GPU_H_

#include "engine/lanes/gpu/row_kernels.h"

namespace ddgan {

// Each enqueues its kernels on LibTorch's current stream and returns. `buffers`
// is on the current device. Throws c10::Error if the launch fails.

// StartBlock for every block of every row.
void StartRowsGpu(const RowBuffers& buffers);
// AddSquares for every row that is a correction, if there may be any, then
// FinishBlock for every block of every row.
void FinishRowsGpu(const RowBuffers& buffers);

}  // namespace ddgan

#endif  // DDGAN_ENGINE_LANES_GPU_ROW_KERNELS_GPU_H_
