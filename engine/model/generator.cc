#include "engine/model/generator.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/tanh.h>
#include <ATen/ops/zeros.h>

#include <cmath>
#include <initializer_list>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "engine/model/generator_walk.h"
#include "engine/model/latent_mapping.h"
#include "engine/model/tensor_modules.h"
#include "engine/model/time_embedding.h"
#include "engine/model/trained_attention.h"
#include "engine/model/trained_convolution.h"

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
        styles_(Projections(generator, {0, 6}, style)),
        times_(Projections(generator, {4}, at::silu(time_features))),
        hook_(hook) {}

  Value Conv(size_t i, const Value& x) {
    return Reported(i, SameConvolution(x, P(i, 0), P(i, 1)));
  }

  // Order of parameters: GroupNorm_0.style, Conv_0, Dense_0, GroupNorm_1.style,
  // Conv_1, and Conv_2 where the skip is projected; weight and bias of each.
  Value ResBlock(size_t i, const Value& x) {
    const ModulePlan& plan = generator_.plan_.modules[i];
    const size_t block = next_block_++;
    Value h = AdaptiveNormSilu(x, styles_[2 * block]);
    h = Resample(plan.kind, h);
    Value skip = Resample(plan.kind, x);
    h = SameConvolution(h, P(i, 2), P(i, 3) + times_[block]);
    h = AdaptiveNormSilu(h, styles_[2 * block + 1]);
    h = SameConvolution(h, P(i, 8), P(i, 9));
    if (HasSkipConv(plan)) skip = SameConvolution(skip, P(i, 10), P(i, 11));
    return Reported(i, RescaledSum(skip, h));
  }

  // Single head over all positions; NIN weights are (in, out).
  Value Attention(size_t i, const Value& x) {
    const Value normed =
        GroupNormAct(x, P(i, 0), P(i, 1), NormActivation::kNone);
    const double scale = 1.0 / std::sqrt(static_cast<double>(x.size(1)));
    const at::Tensor weights =
        at::cat({P(i, 2) * scale, P(i, 4), P(i, 6)}, /*dim=*/1);
    const at::Tensor biases = at::cat({P(i, 3) * scale, P(i, 5), P(i, 7)});
    const Value mixed =
        SelfAttention(SameConvolution(normed, AsFilters(weights), biases));
    const Value image = SameConvolution(mixed, AsFilters(P(i, 8)), P(i, 9));
    return Reported(i, RescaledSum(x, image));
  }

  Value ConvDown(size_t i, const Value& x) {
    return Reported(i, at::conv2d(Smooth(x), P(i, 0), P(i, 1), /*stride=*/2));
  }
  Value Combine(size_t i, const Value& pyramid, const Value& h) {
    return Reported(i, SameConvolution(pyramid, P(i, 0), P(i, 1)) + h);
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

  // [in, out] as the filters of a 1x1 convolution.
  static at::Tensor AsFilters(const at::Tensor& matrix) {
    return matrix.t().unsqueeze(-1).unsqueeze(-1);
  }

  static Value AdaptiveNormSilu(const Value& x, const at::Tensor& style) {
    const auto halves = style.chunk(2, 1);
    return GroupNormAct(x, halves[0], halves[1], NormActivation::kSilu);
  }

  // `input` [B, n] times the linear layers that begin at each residual block's
  // parameters `first`, all in one product: [B, out] of each layer, in order.
  static std::vector<at::Tensor> Projections(
      const Generator& generator, std::initializer_list<size_t> first,
      const at::Tensor& input) {
    std::vector<at::Tensor> weights, biases;
    std::vector<int64_t> sizes;
    for (size_t i = 0; i < generator.plan_.modules.size(); ++i) {
      const ModuleKind kind = generator.plan_.modules[i].kind;
      if (kind != ModuleKind::kResBlock && kind != ModuleKind::kResBlockDown &&
          kind != ModuleKind::kResBlockUp) {
        continue;
      }
      for (const size_t k : first) {
        const size_t at = generator.first_[i] + k;
        weights.push_back(generator.parameters_[at]);
        biases.push_back(generator.parameters_[at + 1]);
        sizes.push_back(weights.back().size(0));
      }
    }
    return at::linear(input, at::cat(weights), at::cat(biases))
        .split_with_sizes(sizes, 1);
  }

  Value Reported(size_t i, Value value) const {
    if (hook_) hook_(i, value);
    return value;
  }

  const Generator& generator_;
  // Of the residual blocks in order: two styles each, and a bias of time.
  const std::vector<at::Tensor> styles_;
  const std::vector<at::Tensor> times_;
  size_t next_block_ = 0;
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
