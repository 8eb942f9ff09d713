// The attention of networks that are trained: on a CPU in float32 the kernels
// of engine/kernels, unless a batch has fewer images than there are threads;
// else LibTorch's operators.
#ifndef DDGAN_ENGINE_MODEL_TRAINED_ATTENTION_H_
#define DDGAN_ENGINE_MODEL_TRAINED_ATTENTION_H_

#include <ATen/core/Tensor.h>

namespace ddgan {

// softmax(q k^T) v over all pixels of each image, single-headed. `qkv` [B, 3C,
// H, W]: a pixel's query, which is scaled already, its key and its value. To
// [B, C, H, W]. Has a gradient; on the kernels the gradient has none.
// Thread-safe. Throws c10::Error.
at::Tensor SelfAttention(const at::Tensor& qkv);

}  // namespace ddgan

#endif  // DDGAN_ENGINE_MODEL_TRAINED_ATTENTION_H_
