// Adam over all parameters of one network at once: one fused update instead of
// one per tensor, and a state that is three vectors.
#ifndef DDGAN_TRAINER_STEP_ADAM_H_
#define DDGAN_TRAINER_STEP_ADAM_H_

#include <ATen/core/Tensor.h>

#include "trainer/networks/flat_parameters.h"

namespace ddgan {

// Adam (Kingma and Ba, ICLR 2015) with betas (0.5, 0.9) and eps 1e-8
// (engine/MODEL.md 5.2). Thread-compatible.
class Adam {
 public:
  // For parameters like `values` [n], on their device.
  explicit Adam(const at::Tensor& values);

  void Step(FlatParameters& parameters, double learning_rate);

  // The state, to be saved and restored: moments [n], and steps taken, a
  // float32 scalar, all on the parameters' device.
  const at::Tensor& exp_avg() const { return exp_avg_; }
  const at::Tensor& exp_avg_sq() const { return exp_avg_sq_; }
  const at::Tensor& step() const { return step_; }

 private:
  at::Tensor exp_avg_;
  at::Tensor exp_avg_sq_;
  at::Tensor step_;
};

}  // namespace ddgan

#endif  // DDGAN_TRAINER_STEP_ADAM_H_
