// The generator's floats to 8-bit pixels, on whichever device they are.
//
// A float x in [-1, 1] becomes floor((clamp(x, -1, 1) + 1) * 127.5 + 0.5), each
// operation rounded to float32, so every device gives equal bytes for equal
// floats. NaN becomes 0.
#ifndef DDGAN_ENGINE_IMAGING_TO_RGB8_H_
#define DDGAN_ENGINE_IMAGING_TO_RGB8_H_

#include <ATen/core/Tensor.h>

#include "absl/status/statusor.h"

namespace ddgan {

// `images` is float32 [N, C, H, W], C 1 or 3, in any memory format. The result
// is uint8 [N, H, W, C], contiguous, on the same device; on a GPU the work is
// enqueued on the current stream and may still be running.
//   InvalidArgument    another type or shape, or no pixel at all
//   Unimplemented      a device that this build has no version for
//   ResourceExhausted  out of memory
//   Internal           any other error of LibTorch or CUDA
absl::StatusOr<at::Tensor> ToRgb8(const at::Tensor& images);

}  // namespace ddgan

#endif  // DDGAN_ENGINE_IMAGING_TO_RGB8_H_
