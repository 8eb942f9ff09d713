// Normal noise for rows of a batch on their own device.
#ifndef DDGAN_TRAINER_NORMAL_ROWS_H_
#define DDGAN_TRAINER_NORMAL_ROWS_H_

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

// out[r] = the noise of {seed, row_index[r], step, stream} (engine/philox.h).
// On LibTorch's CPU threads.
void FillNormalRowsCpu(const NormalRows& fill);

// The same with pointers on the current GPU, on its current stream. Throws
// c10::Error where the build has no CUDA or the launch fails.
void FillNormalRowsGpu(const NormalRows& fill);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_NORMAL_ROWS_H_
