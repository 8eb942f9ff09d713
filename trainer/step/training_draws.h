// The random numbers of a training step. Each is a function of (seed, step,
// row of the global batch) alone: a resumed run draws what an unbroken one
// would, and so does a run on another number of processes.
#ifndef DDGAN_TRAINER_STEP_TRAINING_DRAWS_H_
#define DDGAN_TRAINER_STEP_TRAINING_DRAWS_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace ddgan {

// Of one half of a step. [B] stands for this process's rows of the batch. What
// the objective has no use for is undefined.
struct HalfStepDraws {
  at::Tensor t;           // [B] int64, uniform in {0..T-1}
  at::Tensor step_noise;  // [B, C, H, W], x_t -> x_{t+1}
  at::Tensor noise;       // [B, C, H, W], x0 -> x_t
  at::Tensor z;           // [B, nz]
  at::Tensor posterior;   // [B, C, H, W]

  // Rows first .. first + count - 1; views.
  HalfStepDraws Rows(int64_t first, int64_t count) const;
};

struct StepDraws {
  HalfStepDraws discriminator;
  HalfStepDraws generator;
};

// Which tensors a step takes.
enum class DrawnTensors {
  kAdversarial,  // All.
  kDenoising,    // The generator's t and noise, x0 -> x_{t+1}.
};

struct DrawShapes {
  int channels;
  int height;
  int width;
  int nz;
  int num_timesteps;
};

// Philox counters (engine/diffusion/philox.h) with the row as image index, the
// training step as step word, and streams of their own. Thread-compatible; runs
// on LibTorch's threads.
class TrainingDraws {
 public:
  // `rows`: which rows of the global batch to draw for, in order.
  TrainingDraws(const DrawShapes& shapes, uint64_t seed,
                const std::vector<uint32_t>& rows, const at::Device& device,
                DrawnTensors drawn = DrawnTensors::kAdversarial);

  // Of step `step`, in [0, 2^32). Float32 and int64 on the device, in memory
  // that the next call overwrites.
  const StepDraws& Draw(int64_t step);

 private:
  void DrawHalf(uint32_t step, uint32_t first_stream, HalfStepDraws* draws);

  const int num_timesteps_;
  const uint64_t seed_;
  const std::vector<uint32_t> host_rows_;
  const at::Tensor rows_;    // [B] int64 on the device.
  const at::Tensor host_t_;  // [B] int64 on the CPU.
  StepDraws draws_;
};

}  // namespace ddgan

#endif  // DDGAN_TRAINER_STEP_TRAINING_DRAWS_H_
