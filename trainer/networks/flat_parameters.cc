#include "trainer/networks/flat_parameters.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/zeros_like.h>

namespace ddgan {

FlatParameters::FlatParameters(const Parameters& initial,
                               const at::Device& device) {
  std::vector<at::Tensor> pieces;
  for (const at::Tensor& tensor : initial) {
    pieces.push_back(tensor.detach().reshape({-1}).to(at::kFloat));
  }
  values_ = at::cat(pieces).to(device);
  gradient_ = at::zeros_like(values_);
  tensors_ = initial;  // For the shapes.
  const Parameters values = Split(values_);
  const Parameters gradients = Split(gradient_);
  for (size_t i = 0; i < tensors_.size(); ++i) {
    tensors_[i] = values[i].detach();
    tensors_[i].set_requires_grad(true);
    tensors_[i].mutable_grad() = gradients[i];
  }
}

Parameters FlatParameters::Split(const at::Tensor& flat) const {
  Parameters pieces;
  int64_t offset = 0;
  for (const at::Tensor& tensor : tensors_) {
    pieces.push_back(
        flat.narrow(0, offset, tensor.numel()).view(tensor.sizes()));
    offset += tensor.numel();
  }
  return pieces;
}

void FlatParameters::ZeroGradient() { gradient_.zero_(); }

void FlatParameters::SetRequiresGrad(bool requires_grad) {
  for (at::Tensor& tensor : tensors_) tensor.set_requires_grad(requires_grad);
}

}  // namespace ddgan
