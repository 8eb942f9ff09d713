// What every form of a generator on tensors does alike between its modules:
// the base of their Modules (generator_walk.h).
#ifndef DDGAN_ENGINE_MODEL_TENSOR_MODULES_H_
#define DDGAN_ENGINE_MODEL_TENSOR_MODULES_H_

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>

#include "engine/model/generator_plan.h"
#include "engine/model/operators.h"

namespace ddgan {

class TensorModules {
 public:
  using Value = at::Tensor;

  Value Concatenate(const Value& a, const Value& b) const {
    return at::cat({a, b}, 1);
  }
  Value RescaledSum(const Value& a, const Value& b) const {
    return ddgan::RescaledSum(a, b);
  }
  Value Sum(const Value& a, const Value& b) const { return a + b; }
  Value Upsample(const Value& x) const { return FirUpsample(x, fir_); }
  Value Downsample(const Value& x) const { return FirDownsample(x, fir_); }

 protected:
  // `fir` outlives this.
  explicit TensorModules(const FirKernel& fir) : fir_(fir) {}

  // To the resolution of a residual block of this kind.
  Value Resample(ModuleKind kind, const Value& x) const {
    if (kind == ModuleKind::kResBlockDown) return Downsample(x);
    if (kind == ModuleKind::kResBlockUp) return Upsample(x);
    return x;
  }
  Value Smooth(const Value& x) const { return FirSmooth(x, fir_); }

 private:
  const FirKernel& fir_;
};

}  // namespace ddgan

#endif  // DDGAN_ENGINE_MODEL_TENSOR_MODULES_H_
