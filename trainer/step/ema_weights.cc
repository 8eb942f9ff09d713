#include "trainer/step/ema_weights.h"

namespace ddgan {

void EmaWeights::Update(const at::Tensor& values) {
  if (!values_.defined()) {
    values_ = values.detach().clone();
    return;
  }
  values_.lerp_(values.detach(), 1 - decay_);
}

}  // namespace ddgan
