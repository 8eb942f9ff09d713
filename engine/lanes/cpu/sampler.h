// A Sampler turns noise into images on the CPU by running the generator for T
// denoising steps: x_{t} ~ q(x_t | x_{t+1}, G(x_{t+1}, t, z)) (Xiao, Kreis,
// Vahdat, ICLR 2022, section 3.2), a batch of images one step at a time, each
// at its own t. No LibTorch in this header.
//
// Thread-compatible: it serves one batch at a time, and each lane has its own.
#ifndef DDGAN_ENGINE_LANES_CPU_SAMPLER_H_
#define DDGAN_ENGINE_LANES_CPU_SAMPLER_H_

#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/types/span.h"

namespace ddgan {

class Model;  // engine/model/model.h

// One image's step.
struct SamplerRow {
  uint64_t seed = 0;
  uint32_t image_index = 0;
  int step = 0;  // t, in [0, T)
  // x_{t+1}, planes [C, S, S]; not read where it is made here: from `guide` if
  // that is set, else at step T-1, where x_T is drawn.
  const float* x_next = nullptr;
  // A picture [C, S, S] in [-1, 1]: x_{t+1} = ac[t+1] guide + sc[t+1] noise.
  const float* guide = nullptr;
  // Receives x_t, [C, S, S]. May not be x_next.
  float* x = nullptr;
  // If set, receives x0' = G(x_{t+1}, t, z), [C, S, S].
  float* x0 = nullptr;
};

class Sampler {
 public:
  // Images of a batch run side by side on `num_threads` threads, each image on
  // one. >= 1. Throws std::system_error if they cannot be started.
  explicit Sampler(int num_threads);
  ~Sampler();

  // Blocks until every row is done. An image's bytes depend on (model, seed,
  // image_index) alone, not on the batch or the number of threads. After an
  // error the rows' x are unspecified.
  //   ResourceExhausted  out of memory
  //   Internal           a value that is not finite, or LibTorch's error
  absl::Status Step(const Model& model, absl::Span<const SamplerRow> rows);

 private:
  class Threads;
  const std::unique_ptr<Threads> threads_;
};

}  // namespace ddgan

#endif  // DDGAN_ENGINE_LANES_CPU_SAMPLER_H_
