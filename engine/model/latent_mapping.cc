#include "engine/model/latent_mapping.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/rsqrt.h>
#include <ATen/ops/silu.h>

namespace ddgan {

at::Tensor MapLatent(const at::Tensor& z, at::TensorList parameters) {
  at::Tensor h = z * at::rsqrt(z.square().mean(1, /*keepdim=*/true) + 1e-8);
  for (size_t i = 0; i + 1 < parameters.size(); i += 2) {
    h = at::silu(at::linear(h, parameters[i], parameters[i + 1]));
  }
  return h;
}

}  // namespace ddgan
