#include "trainer/step/adam.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/_fused_adam.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

namespace ddgan {
namespace {

constexpr double kBeta1 = 0.5;
constexpr double kBeta2 = 0.9;
constexpr double kEpsilon = 1e-8;

}  // namespace

Adam::Adam(const at::Tensor& values)
    : exp_avg_(at::zeros_like(values)),
      exp_avg_sq_(at::zeros_like(values)),
      step_(at::zeros({}, values.options())) {}

void Adam::Step(FlatParameters& parameters, double learning_rate) {
  step_.add_(1);
  at::_fused_adam_({parameters.values()}, {parameters.gradient()}, {exp_avg_},
                   {exp_avg_sq_}, /*max_exp_avg_sqs=*/{}, {step_},
                   learning_rate, kBeta1, kBeta2, /*weight_decay=*/0, kEpsilon,
                   /*amsgrad=*/false, /*maximize=*/false);
}

}  // namespace ddgan
