// What lies between the convolutions of a serving generator on tensors, each
// one pass over memory on a GPU (fused_gpu.h) and LibTorch's operators
// elsewhere. On a GPU an image's bytes do not depend on B. Without autograd.
// Thread-safe.
//
// Images are [B, C, H, W], channels_last, float32 or bfloat16.
#ifndef DDGAN_ENGINE_MODEL_FUSED_OPERATORS_H_
#define DDGAN_ENGINE_MODEL_FUSED_OPERATORS_H_

#include <ATen/core/Tensor.h>

#include "engine/model/operators.h"

namespace ddgan {

// What a block adds to every pixel of image b: row t[b] of a table per step.
struct StepBiases {
  at::Tensor table;  // [T, C] float32; its rows may be parts of longer ones.
  at::Tensor t;      // [B] int64 in [0, T)
};

// act(scale * norm(x + biases) + shift), as GroupNormAct. `biases` may be null.
// scale and shift are [C] or [B, C] in x's dtype; rows may be parts of longer
// ones. Throws c10::Error.
at::Tensor BiasedGroupNormAct(const at::Tensor& x, const StepBiases* biases,
                              const at::Tensor& scale, const at::Tensor& shift,
                              NormActivation activation);

// (x + other + bias) * factor, in x's memory; x is the only one who refers to
// it. `other` may be undefined; bias is [C] float32. Throws c10::Error.
at::Tensor AddBiasInto(at::Tensor x, const at::Tensor& other,
                       const at::Tensor& bias, double factor);

}  // namespace ddgan

#endif  // DDGAN_ENGINE_MODEL_FUSED_OPERATORS_H_
