// What happens to a row before and after the generator, one definition for CPU
// and CUDA: x_{t+1} and z are put together, then the update turns x0' into the
// next state (engine/diffusion/state_update.h). Every function does four
// neighbouring elements of one row, because noise comes in blocks of four
// (engine/diffusion/philox.h). Plain C++17, so that nvcc can read it.
#ifndef DDGAN_ENGINE_LANES_GPU_ROW_KERNELS_H_
#define DDGAN_ENGINE_LANES_GPU_ROW_KERNELS_H_

#include <cstdint>

#include "engine/base/host_device.h"
#include "engine/diffusion/philox.h"
#include "engine/diffusion/state_update.h"

namespace ddgan {

// One row of a step, as the device reads it.
struct DeviceRow {
  uint64_t seed = 0;
  uint32_t image_index = 0;
  int32_t step = 0;  // Evaluations after this one; step word of its noise.
  int32_t t = 0;     // What the generator receives.
  uint32_t start_word = 0;  // Step word of the noise in x_{t+1}.
  // x_{t+1} = from_scale * from + noise_scale * noise. `from` is x_{t+1} itself
  // (scales 1 and 0) or a guide picture; where it is null, x_T is drawn. On the
  // device, planes [C, S, S].
  const float* from = nullptr;
  float from_scale = 0;
  float noise_scale = 0;
  float latent_scale = 0;  // 1, or 0 for a latent of zeros.
  // What makes the next state: the correction if its alpha is not 0.
  LinearUpdate update = {};
  Correction correction = {};
  // Receives a second copy of that state if not null. May not be `from`.
  float* to = nullptr;
};
inline constexpr int64_t kRowBytes = sizeof(DeviceRow);

// The memory of a step of `rows` rows, all on the device.
struct RowBuffers {
  int64_t rows;
  int64_t numel;  // C * S * S
  int64_t nz;
  const DeviceRow* row;  // [rows]
  float* x_next;         // [rows, numel], x_{t+1}
  int64_t* t;            // [rows]
  float* z;              // [rows, nz]
  const float* x0;       // [rows, numel], the generator's output
  float* x;              // [rows, numel], the next state
  int32_t* not_finite;   // [rows], 1 where a value of it is infinite or NaN
  // [rows, 2], squared norms of a correction's noise and of x_{t+1} - ac x0';
  // null where no row is a correction.
  double* squares;
};

DDGAN_HOST_DEVICE inline int64_t BlocksOf(int64_t elements) {
  return (elements + 3) / 4;
}

// Blocks of StartBlock and of FinishBlock, for one row.
DDGAN_HOST_DEVICE inline int64_t StartBlocks(const RowBuffers& buffers) {
  return BlocksOf(buffers.numel > buffers.nz ? buffers.numel : buffers.nz);
}
DDGAN_HOST_DEVICE inline int64_t FinishBlocks(const RowBuffers& buffers) {
  return BlocksOf(buffers.numel);
}

// Writes elements 4 block .. 4 block + 3 of row r's x_next and z; block 0 also
// its t, and clears not_finite.
DDGAN_HOST_DEVICE inline void StartBlock(const RowBuffers& buffers, int64_t r,
                                         int64_t block) {
  const DeviceRow& row = buffers.row[r];
  const uint32_t step = static_cast<uint32_t>(row.step);
  const int64_t first = 4 * block;
  float noise[4] = {0, 0, 0, 0};
  if (block == 0) {
    buffers.t[r] = row.t;
    buffers.not_finite[r] = 0;
  }
  if (first < buffers.numel) {
    if (row.noise_scale != 0) {
      NormalBlock(
          {row.seed, row.image_index, row.start_word,
           row.from == nullptr ? NoiseStream::kInitial : NoiseStream::kGuide},
          static_cast<uint32_t>(block), noise);
    }
    float* x_next = buffers.x_next + r * buffers.numel;
    for (int64_t j = 0; j < 4 && first + j < buffers.numel; ++j) {
      x_next[first + j] = row.noise_scale * noise[j];
      if (row.from != nullptr) {
        x_next[first + j] += row.from_scale * row.from[first + j];
      }
    }
  }
  if (first < buffers.nz) {
    NormalBlock({row.seed, row.image_index, step, NoiseStream::kLatent},
                static_cast<uint32_t>(block), noise);
    float* z = buffers.z + r * buffers.nz;
    for (int64_t j = 0; j < 4 && first + j < buffers.nz; ++j) {
      z[first + j] = row.latent_scale * noise[j];
    }
  }
}

// The noise of a block of row r's move.
DDGAN_HOST_DEVICE inline void MoveNoise(const DeviceRow& row, int64_t block,
                                        float (&noise)[4]) {
  NormalBlock({row.seed, row.image_index, static_cast<uint32_t>(row.step),
               row.correction.alpha > 0 ? NoiseStream::kLangevin
                                        : NoiseStream::kPosterior},
              static_cast<uint32_t>(block), noise);
}

// Adds what elements 4 block .. 4 block + 3 of row r, a correction, have of the
// two squared norms.
DDGAN_HOST_DEVICE inline void AddSquares(const RowBuffers& buffers, int64_t r,
                                         int64_t block, double (&squares)[2]) {
  const DeviceRow& row = buffers.row[r];
  const int64_t first = 4 * block;
  float noise[4];
  MoveNoise(row, block, noise);
  for (int64_t j = 0; j < 4 && first + j < buffers.numel; ++j) {
    const int64_t i = r * buffers.numel + first + j;
    const double residual =
        buffers.x_next[i] - row.correction.ac * buffers.x0[i];
    squares[0] += static_cast<double>(noise[j]) * noise[j];
    squares[1] += residual * residual;
  }
}

// Writes elements 4 block .. 4 block + 3 of row r's next state, and its
// not_finite. A correction's squares are there.
DDGAN_HOST_DEVICE inline void FinishBlock(const RowBuffers& buffers, int64_t r,
                                          int64_t block) {
  const DeviceRow& row = buffers.row[r];
  const int64_t first = 4 * block;
  const LinearUpdate update =
      row.correction.alpha > 0
          ? CorrectionUpdate(row.correction, buffers.squares[2 * r],
                             buffers.squares[2 * r + 1])
          : row.update;
  float noise[4] = {0, 0, 0, 0};
  if (update.noise != 0) MoveNoise(row, block, noise);
  for (int64_t j = 0; j < 4 && first + j < buffers.numel; ++j) {
    const int64_t i = r * buffers.numel + first + j;
    const float x = update.x0 * buffers.x0[i] + update.x * buffers.x_next[i] +
                    update.noise * noise[j];
    // Finite values stay finite times 0; anything else does not. Blocks of one
    // row may write at once, but all write the same.
    if (!(x * 0.0f == 0.0f)) buffers.not_finite[r] = 1;
    buffers.x[i] = x;
    if (row.to != nullptr) row.to[first + j] = x;
  }
}

}  // namespace ddgan

#endif  // DDGAN_ENGINE_LANES_GPU_ROW_KERNELS_H_
