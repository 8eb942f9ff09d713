// A generator's parameters with everything that does not depend on the image
// computed once, for the forms that serve: all style layers one matrix, an
// attention's q, k and v one 1x1 convolution that holds the softmax's scale,
// and each block's time features a table of biases per step.
#ifndef DDGAN_ENGINE_MODEL_FOLDED_GENERATOR_H_
#define DDGAN_ENGINE_MODEL_FOLDED_GENERATOR_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "engine/model/generator.h"

namespace ddgan {

struct FoldedGenerator {
  struct Conv {
    at::Tensor weight;       // [out, in, K, K]
    at::Tensor bias;         // [out], or undefined
    int64_t resolution = 0;  // Height and width of the input.
    int64_t padding = 0;
    int64_t stride = 1;
  };
  // One entry of all_modules; what is set depends on its kind.
  struct Module {
    // ResBlock: of h before its step bias, of h, and of the skip where
    // HasSkipConv. Attention: C to q, k, v, 3 C, and the output. Others: one.
    std::vector<Conv> convs;
    // ResBlock: [T, out], of the first convolution. AddStepBiases sets it.
    at::Tensor step_biases;
    int64_t style_offset = -1;  // ResBlock: see style_weight. Others: -1.
    at::Tensor norm_scale;      // [C], affine group norms
    at::Tensor norm_shift;
  };

  std::vector<Module> modules;
  // style_weight x style + style_bias: from a block's style_offset on scale and
  // shift of its first norm, in each, then those of its second, out each.
  at::Tensor style_weight;       // [sum, z_emb]
  at::Tensor style_bias;         // [sum]
  Parameters latent_parameters;  // For MapLatent.

  // Memory that all tensors hold.
  int64_t bytes() const;
};

// All tensors are float32 on the CPU and hold no gradients; some share memory
// with the generator's parameters, which are float32 on the CPU, too. A form
// that serves goes on to put them into a format of its own. Throws c10::Error.
FoldedGenerator FoldGenerator(const Generator& generator);

// Sets the step biases, which FoldGenerator leaves undefined: by LibTorch, so
// that their last bits are the processor's. Throws c10::Error.
void AddStepBiases(const Generator& generator, FoldedGenerator* folded);

}  // namespace ddgan

#endif  // DDGAN_ENGINE_MODEL_FOLDED_GENERATOR_H_
