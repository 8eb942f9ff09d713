// Step number to vector: the sinusoidal embedding (MODEL.md 3.1).
#ifndef DDGAN_ENGINE_MODEL_TIME_EMBEDDING_H_
#define DDGAN_ENGINE_MODEL_TIME_EMBEDDING_H_

#include <ATen/core/Tensor.h>

namespace ddgan {

// `t` is [B], int64, the raw step index. Returns float32 [B, width], sines
// first, on t's device. width >= 4; an odd width ends in a zero.
at::Tensor SinusoidalEmbedding(const at::Tensor& t, int64_t width);

}  // namespace ddgan

#endif  // DDGAN_ENGINE_MODEL_TIME_EMBEDDING_H_
