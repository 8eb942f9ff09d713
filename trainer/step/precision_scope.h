// The number format of forward passes, as LibTorch's autocast.
#ifndef DDGAN_TRAINER_STEP_PRECISION_SCOPE_H_
#define DDGAN_TRAINER_STEP_PRECISION_SCOPE_H_

#include <c10/core/DeviceType.h>

#include "engine/api/precision.h"

namespace ddgan {

// While it lives, this thread's forward passes on `device` run in the format of
// a run: with kBfloat16 matrix products and convolutions cast what they are
// given. Other formats change nothing. Backward passes need no scope.
class PrecisionScope {
 public:
  PrecisionScope(Precision precision, c10::DeviceType device);
  ~PrecisionScope();
  PrecisionScope(const PrecisionScope&) = delete;
  PrecisionScope& operator=(const PrecisionScope&) = delete;

 private:
  const bool active_;
  const c10::DeviceType device_;
};

}  // namespace ddgan

#endif  // DDGAN_TRAINER_STEP_PRECISION_SCOPE_H_
