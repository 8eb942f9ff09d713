#include "engine/diffusion/diffusion.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/addcmul.h>
#include <ATen/ops/tensor.h>

#include <vector>

namespace ddgan {
namespace {

// vector[t], shaped to multiply a batch of images.
at::Tensor PerImage(const at::Tensor& vector, const at::Tensor& t) {
  return vector.index_select(0, t).view({-1, 1, 1, 1});
}

}  // namespace

Diffusion::Diffusion(const NoiseSchedule& schedule,
                     const at::TensorOptions& options) {
  const auto to_tensor = [&](const std::vector<float>& values) {
    return at::tensor(values, at::dtype(at::kFloat)).to(options);
  };
  sigmas_ = to_tensor(schedule.sigmas);
  a_ = to_tensor(schedule.a);
  ac_ = to_tensor(schedule.ac);
  sc_ = to_tensor(schedule.sc);
  c1_ = to_tensor(schedule.c1);
  c2_ = to_tensor(schedule.c2);
  stddev_ = to_tensor(schedule.stddev);
}

at::Tensor Diffusion::Diffuse(const at::Tensor& x0, const at::Tensor& t,
                              const at::Tensor& noise) const {
  return PerImage(ac_, t) * x0 + PerImage(sc_, t) * noise;
}

Diffusion::Pair Diffusion::DiffusePair(const at::Tensor& x0,
                                       const at::Tensor& t,
                                       const at::Tensor& step_noise,
                                       const at::Tensor& noise) const {
  Pair pair;
  pair.x_t = Diffuse(x0, t, noise);
  pair.x_next =
      PerImage(a_, t + 1) * pair.x_t + PerImage(sigmas_, t + 1) * step_noise;
  return pair;
}

at::Tensor Diffusion::Posterior(const at::Tensor& x0, const at::Tensor& x_next,
                                const at::Tensor& t,
                                const at::Tensor& noise) const {
  return PerImage(c1_, t) * x0 + PerImage(c2_, t) * x_next +
         PerImage(stddev_, t) * noise;
}

}  // namespace ddgan
