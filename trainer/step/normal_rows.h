// Normal noise for rows of a batch on their own device.
#ifndef DDGAN_TRAINER_STEP_NORMAL_ROWS_H_
#define DDGAN_TRAINER_STEP_NORMAL_ROWS_H_

#include <c10/core/DeviceType.h>

#include <cstdint>

namespace ddgan {

struct NormalRows {
  uint64_t seed;
  uint32_t step;
  uint32_t stream;
  int64_t rows;
  int64_t numel;             // Of one row.
  const int64_t* row_index;  // [rows], each below 2^32
  float* out;                // [rows, numel]
};

// out[r] = the noise of {seed, row_index[r], step, stream}
// (engine/diffusion/philox.h). Pointers are of a device of this type: on the
// CPU LibTorch's threads fill, on the current GPU its current stream. Throws
// c10::Error for another device, a GPU in a build without CUDA, or a launch
// that fails.
void FillNormalRows(const NormalRows& fill, c10::DeviceType device);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_STEP_NORMAL_ROWS_H_
