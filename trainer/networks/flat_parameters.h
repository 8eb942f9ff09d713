// All parameters of one network in one buffer, and their gradient in another:
// an optimiser updates them at once instead of tensor by tensor, and processes
// sum the gradient in pieces of any size.
#ifndef DDGAN_TRAINER_NETWORKS_FLAT_PARAMETERS_H_
#define DDGAN_TRAINER_NETWORKS_FLAT_PARAMETERS_H_

#include <ATen/core/Tensor.h>

#include "engine/model/generator.h"

namespace ddgan {

// Trainable parameters as views of one contiguous vector, gradients likewise.
// Thread-compatible.
class FlatParameters {
 public:
  // Copies `initial` to `device`.
  FlatParameters(const Parameters& initial, const at::Device& device);

  // Leaf tensors that require grad, with the shapes of `initial`; their
  // gradients accumulate into gradient().
  const Parameters& tensors() const { return tensors_; }
  // Float32 [n]: every parameter, in order. Written by the optimiser.
  const at::Tensor& values() const { return values_; }
  const at::Tensor& gradient() const { return gradient_; }

  // `flat` [n] cut into the parameters' shapes; views, not copies.
  Parameters Split(const at::Tensor& flat) const;

  void ZeroGradient();
  // Whether autograd computes gradients for these parameters.
  void SetRequiresGrad(bool requires_grad);

 private:
  at::Tensor values_;
  at::Tensor gradient_;
  Parameters tensors_;
};

}  // namespace ddgan

#endif  // DDGAN_TRAINER_NETWORKS_FLAT_PARAMETERS_H_
