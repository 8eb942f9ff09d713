// The loss of a plain denoiser, which needs no discriminator: regression on x0
// (Ho et al., NeurIPS 2020) with the weights of Hang et al. (ICCV 2023).
#ifndef DDGAN_TRAINER_STEP_DENOISING_LOSS_H_
#define DDGAN_TRAINER_STEP_DENOISING_LOSS_H_

#include <ATen/core/Tensor.h>

#include <vector>

#include "engine/diffusion/noise_schedule.h"

namespace ddgan {

// Element t, of T: min(SNR, 5) of x_{t+1}, the state that the network sees at
// t; SNR = ac^2 / (1 - ac^2), ac of t + 1.
std::vector<float> DenoisingWeights(const NoiseSchedule& schedule);

// Mean over the batch of weights[t] times the mean over an image's values of
// (x0 - predicted)^2. A mean and not the sum of the squared norm, so that the
// loss of images of different sizes compares; to Adam both are the same. x0,
// predicted [B, C, H, W]; t [B] int64 in {0..T-1}; weights [T].
at::Tensor DenoisingLoss(const at::Tensor& x0, const at::Tensor& predicted,
                         const at::Tensor& t, const at::Tensor& weights);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_STEP_DENOISING_LOSS_H_
