// Exponential moving average of the generator, the weights that get served
// (engine/MODEL.md 5.2).
#ifndef DDGAN_TRAINER_STEP_EMA_WEIGHTS_H_
#define DDGAN_TRAINER_STEP_EMA_WEIGHTS_H_

#include <ATen/core/Tensor.h>

namespace ddgan {

// Thread-compatible.
class EmaWeights {
 public:
  // `decay` in [0, 1).
  explicit EmaWeights(double decay) : decay_(decay) {}

  // After each optimiser step: ema = decay ema + (1 - decay) values. The first
  // call copies. `values` is the flat vector of parameters.
  void Update(const at::Tensor& values);

  // Undefined before the first Update. Assign to restore.
  at::Tensor& values() { return values_; }
  const at::Tensor& values() const { return values_; }

 private:
  const double decay_;
  at::Tensor values_;
};

}  // namespace ddgan

#endif  // DDGAN_TRAINER_STEP_EMA_WEIGHTS_H_
