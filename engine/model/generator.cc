#include "engine/model/generator.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/tanh.h>
#include <ATen/ops/zeros.h>

#include <cmath>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "engine/model/generator_walk.h"
#include "engine/model/latent_mapping.h"
#include "engine/model/tensor_modules.h"
#include "engine/model/time_embedding.h"

namespace ddgan {
namespace {

std::vector<size_t> FirstParameters(const GeneratorPlan& plan) {
  std::vector<size_t> first;
  size_t next = 0;
  for (size_t module = 0; module < plan.modules.size(); ++module) {
    first.push_back(next);
    const std::string prefix = absl::StrCat("all_modules.", module, ".");
    while (next < plan.parameters.size() &&
           absl::StartsWith(plan.parameters[next].name, prefix)) {
      ++next;
    }
  }
  first.push_back(next);
  return first;
}

}  // namespace

// One forward pass: style and time features of a batch, and each module as
// LibTorch operators.
class Generator::Modules : public TensorModules {
 public:
  Modules(const Generator& generator, const at::Tensor& style,
          const at::Tensor& time_features, const ModuleHook& hook)
      : TensorModules(generator.fir_),
        generator_(generator),
        style_(style),
        activated_time_(at::silu(time_features)),
        hook_(hook) {}

  Value Conv(size_t i, const Value& x) {
    return Reported(i, at::conv2d(x, P(i, 0), P(i, 1), 1, 1));
  }

  // Order of parameters: GroupNorm_0.style, Conv_0, Dense_0, GroupNorm_1.style,
  // Conv_1, and Conv_2 where the skip is projected; weight and bias of each.
  Value ResBlock(size_t i, const Value& x) {
    const ModulePlan& plan = generator_.plan_.modules[i];
    Value h = AdaptiveNormSilu(x, P(i, 0), P(i, 1));
    h = Resample(plan.kind, h);
    Value skip = Resample(plan.kind, x);
    h = at::conv2d(h, P(i, 2), P(i, 3), 1, 1);
    const Value time = at::linear(activated_time_, P(i, 4), P(i, 5));
    h = h + time.unsqueeze(-1).unsqueeze(-1);
    h = AdaptiveNormSilu(h, P(i, 6), P(i, 7));
    h = at::conv2d(h, P(i, 8), P(i, 9), 1, 1);
    if (HasSkipConv(plan)) skip = at::conv2d(skip, P(i, 10), P(i, 11));
    return Reported(i, RescaledSum(skip, h));
  }

  // Single head over all positions; NIN weights are (in, out).
  Value Attention(size_t i, const Value& x) {
    const int64_t batch = x.size(0), channels = x.size(1);
    const Value normed =
        GroupNormAct(x, P(i, 0), P(i, 1), NormActivation::kNone);
    const Value rows =
        normed.permute({0, 2, 3, 1}).reshape({batch, -1, channels});
    const Value q = at::matmul(rows, P(i, 2)) + P(i, 3);
    const Value k = at::matmul(rows, P(i, 4)) + P(i, 5);
    const Value v = at::matmul(rows, P(i, 6)) + P(i, 7);
    const double scale = 1.0 / std::sqrt(static_cast<double>(channels));
    const Value weights = at::softmax(at::bmm(q * scale, k.mT()), -1);
    const Value out = at::matmul(at::bmm(weights, v), P(i, 8)) + P(i, 9);
    const Value image = out.reshape({batch, x.size(2), x.size(3), channels})
                            .permute({0, 3, 1, 2});
    return Reported(i, RescaledSum(x, image));
  }

  Value ConvDown(size_t i, const Value& x) {
    return Reported(i, at::conv2d(Smooth(x), P(i, 0), P(i, 1), /*stride=*/2));
  }
  Value Combine(size_t i, const Value& pyramid, const Value& h) {
    return Reported(i, at::conv2d(pyramid, P(i, 0), P(i, 1)) + h);
  }
  Value NormSilu(size_t i, const Value& x) {
    // The reference's module is the norm alone; its SiLU is no module.
    if (hook_) {
      hook_(i, GroupNormAct(x, P(i, 0), P(i, 1), NormActivation::kNone));
    }
    return GroupNormAct(x, P(i, 0), P(i, 1), NormActivation::kSilu);
  }

 private:
  const at::Tensor& P(size_t module, size_t k) const {
    return generator_.parameters_[generator_.first_[module] + k];
  }

  Value AdaptiveNormSilu(const Value& x, const at::Tensor& weight,
                         const at::Tensor& bias) const {
    const auto halves = at::linear(style_, weight, bias).chunk(2, 1);
    return GroupNormAct(x, halves[0], halves[1], NormActivation::kSilu);
  }

  Value Reported(size_t i, Value value) const {
    if (hook_) hook_(i, value);
    return value;
  }

  const Generator& generator_;
  const at::Tensor style_;
  const at::Tensor activated_time_;
  const ModuleHook& hook_;
};

Generator::Generator(const ModelConfig& config, Parameters parameters)
    : config_(config),
      plan_(PlanGenerator(config)),
      parameters_(std::move(parameters)),
      fir_(config.fir_kernel),
      first_(FirstParameters(plan_)) {}

at::Tensor Generator::Style(const at::Tensor& z) const {
  return MapLatent(z,
                   at::TensorList(parameters_).slice(FirstLatentParameter()));
}

at::Tensor Generator::TimeFeatures(const at::Tensor& t) const {
  const at::Tensor embedding = SinusoidalEmbedding(t, config_.num_channels_dae)
                                   .to(parameters_[0].options());
  const at::Tensor hidden =
      at::silu(at::linear(embedding, parameters_[0], parameters_[1]));
  return at::linear(hidden, parameters_[2], parameters_[3]);
}

at::Tensor Generator::ForwardWithoutTanh(const at::Tensor& x,
                                         const at::Tensor& t,
                                         const at::Tensor& z,
                                         const ModuleHook& hook) const {
  Modules modules(*this, Style(z), TimeFeatures(t), hook);
  return WalkGenerator(config_, plan_,
                       x.contiguous(at::MemoryFormat::ChannelsLast), modules);
}

at::Tensor Generator::Forward(const at::Tensor& x, const at::Tensor& t,
                              const at::Tensor& z) const {
  return at::tanh(ForwardWithoutTanh(x, t, z));
}

Parameters InitialParameters(const std::vector<ParameterPlan>& plan,
                             uint64_t seed) {
  at::Generator random = at::detail::createCPUGenerator(seed);
  Parameters parameters;
  for (const ParameterPlan& parameter : plan) {
    at::Tensor tensor = at::zeros(parameter.shape, at::kFloat);
    if (parameter.init.bound > 0) {
      tensor.uniform_(-parameter.init.bound, parameter.init.bound, random);
    } else {
      const int64_t half = tensor.size(0) / 2;
      tensor.narrow(0, 0, half).fill_(parameter.init.first_half);
      tensor.narrow(0, half, tensor.size(0) - half)
          .fill_(parameter.init.second_half);
    }
    parameters.push_back(std::move(tensor));
  }
  return parameters;
}

}  // namespace ddgan
