// Latent to style vector: the z mapping (MODEL.md 3.1).
#ifndef DDGAN_ENGINE_MODEL_LATENT_MAPPING_H_
#define DDGAN_ENGINE_MODEL_LATENT_MAPPING_H_

#include <ATen/core/Tensor.h>
#include <c10/util/ArrayRef.h>

namespace ddgan {

// z [B, nz] to [B, z_emb]: PixelNorm, then a linear layer and SiLU for each
// (weight, bias) pair of `parameters`. Only z's direction matters.
at::Tensor MapLatent(const at::Tensor& z, at::TensorList parameters);

}  // namespace ddgan

#endif  // DDGAN_ENGINE_MODEL_LATENT_MAPPING_H_
