#include "trainer/networks/losses.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/softplus.h>
#include <torch/csrc/autograd/autograd.h>

namespace ddgan {

at::Tensor LossAsReal(const at::Tensor& logits) {
  return at::softplus(-logits).mean();
}

at::Tensor LossAsFake(const at::Tensor& logits) {
  return at::softplus(logits).mean();
}

at::Tensor R1Penalty(const at::Tensor& logits, const at::Tensor& x,
                     double gamma) {
  const at::Tensor gradient =
      torch::autograd::grad({logits.sum()}, {x}, /*grad_outputs=*/{},
                            /*retain_graph=*/true, /*create_graph=*/true)[0];
  return gradient.square().sum({1, 2, 3}).mean() * (gamma / 2);
}

}  // namespace ddgan
