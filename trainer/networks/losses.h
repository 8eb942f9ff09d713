// The adversarial losses (engine/MODEL.md 5.1): non-saturating GAN with an R1
// penalty (Mescheder et al., ICML 2018) on x_t alone.
#ifndef DDGAN_TRAINER_NETWORKS_LOSSES_H_
#define DDGAN_TRAINER_NETWORKS_LOSSES_H_

#include <ATen/core/Tensor.h>

namespace ddgan {

// mean softplus(-logits): D on real pairs, and G on its own.
at::Tensor LossAsReal(const at::Tensor& logits);
// mean softplus(logits): D on generated pairs.
at::Tensor LossAsFake(const at::Tensor& logits);

// gamma/2 mean_b ||d sum(logits) / d x||^2, differentiable again. `x` is [B, C,
// H, W], requires grad, and `logits` were computed from it.
at::Tensor R1Penalty(const at::Tensor& logits, const at::Tensor& x,
                     double gamma);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_NETWORKS_LOSSES_H_
