// The diffusion process on batches of tensors, each image at its own t:
// forward noising and the posterior (MODEL.md 1 and 2).
#ifndef DDGAN_ENGINE_DIFFUSION_DIFFUSION_H_
#define DDGAN_ENGINE_DIFFUSION_DIFFUSION_H_

#include <ATen/core/Tensor.h>

#include "engine/diffusion/noise_schedule.h"

namespace ddgan {

// A schedule's vectors as tensors on one device. Thread-compatible.
class Diffusion {
 public:
  Diffusion(const NoiseSchedule& schedule, const at::TensorOptions& options);

  // x_t = ac[t] x0 + sc[t] noise; t [B] int64 in {0..T}.
  at::Tensor Diffuse(const at::Tensor& x0, const at::Tensor& t,
                     const at::Tensor& noise) const;

  struct Pair {
    at::Tensor x_t;
    at::Tensor x_next;  // x_{t+1}
  };
  // x_t = Diffuse(x0, t, noise); x_{t+1} = a[t+1] x_t + sigma[t+1] step_noise;
  // t in {0..T-1}.
  Pair DiffusePair(const at::Tensor& x0, const at::Tensor& t,
                   const at::Tensor& step_noise, const at::Tensor& noise) const;

  // A draw from q(x_t | x_{t+1}, x0): c1[t] x0 + c2[t] x_{t+1} + stddev[t]
  // noise. Differentiable in x0.
  at::Tensor Posterior(const at::Tensor& x0, const at::Tensor& x_next,
                       const at::Tensor& t, const at::Tensor& noise) const;

 private:
  at::Tensor sigmas_, a_, ac_, sc_, c1_, c2_, stddev_;
};

}  // namespace ddgan

#endif  // DDGAN_ENGINE_DIFFUSION_DIFFUSION_H_
