// A Sampler turns noise into images on the CPU by running the generator as the
// model's update rule says: for a GAN of T steps, x_{t} ~ q(x_t | x_{t+1},
// G(x_{t+1}, t, z)) (Xiao, Kreis, Vahdat, ICLR 2022, section 3.2). A batch of
// images goes one evaluation at a time, each at its own. No LibTorch in this
// header.
//
// Thread-compatible: it serves one batch at a time, and each lane has its own.
#ifndef DDGAN_ENGINE_LANES_CPU_SAMPLER_H_
#define DDGAN_ENGINE_LANES_CPU_SAMPLER_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "engine/api/generation.h"

namespace ddgan {

class Model;  // engine/model/model.h
namespace kernels {
class ThreadPool;  // engine/kernels/thread_pool.h
}

// One image's step. Planes are float32 [C, S, S].
struct SamplerRow {
  uint64_t seed = 0;
  uint32_t image_index = 0;
  int step = 0;  // Which element of Model::plan(): evaluations after this one.
  // x_{t+1}, t as of that element; not read where it is made here: from `guide`
  // if that is set, else at the first evaluation, where x_T is drawn.
  const float* x_next = nullptr;
  // A picture in [-1, 1]: x_{t+1} = ac[t+1] guide + sc[t+1] noise.
  const float* guide = nullptr;
  // Receives the state that follows if set. May not be x_next.
  float* x = nullptr;
  // Receive that state and x0' = G(x_{t+1}, t, z) if set: planes, aligned for
  // floats, or 8-bit rows [S, S, C], as `pixel_format` says.
  PixelFormat pixel_format = PixelFormat::kUint8;
  uint8_t* image = nullptr;
  uint8_t* preview = nullptr;
  // Written by the step: the state that follows has an infinity or a NaN.
  bool not_finite = false;
};

class Sampler {
 public:
  // As many threads as the caller and `num_threads` - 1 others. >= 1. `cpus`
  // and what is thrown: kernels::ThreadPool.
  explicit Sampler(int num_threads, absl::Span<const int> cpus = {});
  ~Sampler();

  // Blocks until every row is done. An image's bytes depend on (model, seed,
  // image_index) alone, not on the batch, the number of threads or the
  // processor. After an error what the rows were to receive is unspecified.
  //   ResourceExhausted  out of memory
  //   Internal           another error
  absl::Status Step(const Model& model, absl::Span<SamplerRow> rows);

  // Memory for intermediate results, kept from step to step.
  int64_t bytes() const;
  // Gives it back, once a model is gone that may have needed more than others.
  void ReleaseMemory();

 private:
  struct Share;
  const std::unique_ptr<kernels::ThreadPool> threads_;
  std::vector<Share> shares_;  // By thread.
};

}  // namespace ddgan

#endif  // DDGAN_ENGINE_LANES_CPU_SAMPLER_H_
