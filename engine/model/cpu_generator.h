// A generator made ready to serve on the CPU by the kernels of engine/kernels:
// float32, a batch of images at once. No LibTorch in this header.
//
// What does not depend on the image is done once: convolution weights are
// packed for the kernels, each block's time features become one table of biases
// per step, and all style layers one matrix.
#ifndef DDGAN_ENGINE_MODEL_CPU_GENERATOR_H_
#define DDGAN_ENGINE_MODEL_CPU_GENERATOR_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/types/span.h"
#include "engine/kernels/convolution.h"
#include "engine/kernels/fir.h"
#include "engine/kernels/float_buffer.h"
#include "engine/kernels/matrix_product.h"
#include "engine/kernels/thread_pool.h"
#include "engine/kernels/workspace.h"
#include "engine/model/generator_plan.h"
#include "engine/model/model_config.h"

namespace ddgan {

class Generator;

// One image: x0 = G(x, t, z).
struct GeneratorRow {
  const float* x = nullptr;  // Planes [C, S, S].
  int t = 0;                 // [0, T)
  const float* z = nullptr;  // [nz]
  float* x0 = nullptr;       // Planes [C, S, S]. May be x.
};

// Immutable, thread-safe; a Workspace and a ThreadPool serve one call at a
// time.
class CpuGenerator {
 public:
  // Copies what it needs from `generator`, whose parameters are float32 on the
  // CPU. Throws c10::Error and std::bad_alloc.
  explicit CpuGenerator(const Generator& generator);
  ~CpuGenerator();

  // Most rows of one Run: beyond, more images share the weights without a gain.
  // >= 1
  int64_t max_rows() const;

  // At most max_rows(). An image's bytes depend on its own row and on nothing
  // else: not on the other rows, the threads or the processor. Throws
  // std::bad_alloc.
  void Run(absl::Span<const GeneratorRow> rows, kernels::Workspace& workspace,
           kernels::ThreadPool& threads) const;

  // Memory held by the prepared weights.
  int64_t bytes() const { return bytes_; }

 private:
  class Modules;

  // A weight matrix of a linear layer, and its bias.
  struct Linear {
    kernels::FloatBuffer packed;
    kernels::FloatBuffer bias;
    int64_t in = 0;
    int64_t out = 0;

    kernels::PackedMatrix matrix() const { return {packed.get(), in, out}; }
  };
  struct ConvolutionWithBias {
    kernels::Convolution convolution;
    kernels::FloatBuffer bias;  // [out]; null: the step's bias comes in.
  };
  struct Module {
    std::vector<ConvolutionWithBias> convolutions;
    kernels::FloatBuffer step_biases;  // ResBlock: [T, out]
    int64_t style_offset = -1;         // ResBlock
    kernels::FloatBuffer norm_scale;   // [C], affine group norms
    kernels::FloatBuffer norm_shift;
  };

  Linear NewLinear(const float* weight, const float* bias, int64_t in,
                   int64_t out);
  kernels::FloatBuffer Copy(const float* values, int64_t count);
  kernels::Workspace::Buffer Styles(absl::Span<const GeneratorRow> rows,
                                    kernels::Workspace& workspace,
                                    kernels::ThreadPool& threads) const;

  const ModelConfig config_;
  const GeneratorPlan plan_;
  kernels::Taps taps_up_, taps_;  // For enlarging, and for all else.
  std::vector<Module> modules_;
  std::vector<Linear> latent_mapping_;
  Linear styles_;
  int64_t bytes_ = 0;
};

}  // namespace ddgan

#endif  // DDGAN_ENGINE_MODEL_CPU_GENERATOR_H_
