// A generator made ready to serve on the CPU, float32, one image at a time.
//
// Everything that does not depend on the image is done once: convolution
// weights are packed for the processor (oneDNN), each block's time features
// become one table of biases per step, and all style layers one matrix. A batch
// is run as images side by side on threads, never as one larger tensor: kernels
// may choose another summation order for another batch size, so this is what
// makes an image's bytes independent of its company. It costs nothing here:
// with packed weights a batch of 1 runs at the machine's matrix product rate
// (README.md has the figures).
#ifndef DDGAN_ENGINE_MODEL_CPU_GENERATOR_H_
#define DDGAN_ENGINE_MODEL_CPU_GENERATOR_H_

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "engine/model/folded_generator.h"
#include "engine/model/generator.h"

namespace ddgan {

// Immutable, thread-safe. Results are equal bytes for equal inputs as long as
// LibTorch runs each call on one thread (at::set_num_threads(1)).
class CpuGenerator {
 public:
  // Takes what it needs from `generator`, whose parameters are float32 on the
  // CPU; it may be destroyed afterwards. Throws c10::Error.
  explicit CpuGenerator(const Generator& generator);

  // x, x0: planes [C, S, S]; z: [nz]; t in [0, T). x0 = G(x, t, z). x0 and x
  // may be the same memory. Throws c10::Error, e.g. when out of memory.
  void Run(const float* x, int t, const float* z, float* x0) const;

  // Memory held by the prepared weights.
  int64_t bytes() const { return weights_.bytes(); }

 private:
  class Modules;

  at::Tensor Styles(const float* z) const;

  const ModelConfig config_;
  const GeneratorPlan plan_;
  const FirKernel fir_;
  FoldedGenerator weights_;  // Convolutions packed; a bias may be undefined.
};

}  // namespace ddgan

#endif  // DDGAN_ENGINE_MODEL_CPU_GENERATOR_H_
