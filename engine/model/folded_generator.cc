#include "engine/model/folded_generator.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/silu.h>
#include <c10/core/GradMode.h>

#include <cmath>

namespace ddgan {
namespace {

// A matrix [out, in] as the weight of a 1x1 convolution.
at::Tensor AsConv1x1(const at::Tensor& matrix) {
  return matrix.unsqueeze(-1).unsqueeze(-1);
}

}  // namespace

int64_t FoldedGenerator::bytes() const {
  int64_t bytes = 0;
  const auto add = [&bytes](const at::Tensor& tensor) {
    if (tensor.defined()) bytes += static_cast<int64_t>(tensor.nbytes());
  };
  for (const Module& module : modules) {
    for (const Conv& conv : module.convs) {
      add(conv.weight);
      add(conv.bias);
    }
    add(module.step_biases);
    add(module.norm_scale);
    add(module.norm_shift);
  }
  add(style_weight);
  add(style_bias);
  for (const at::Tensor& tensor : latent_parameters) add(tensor);
  return bytes;
}

FoldedGenerator FoldGenerator(const Generator& generator) {
  const c10::NoGradGuard no_grad;
  const GeneratorPlan& plan = generator.plan();
  Parameters parameters;
  for (const at::Tensor& parameter : generator.parameters()) {
    parameters.push_back(parameter.detach());
  }

  FoldedGenerator folded;
  std::vector<at::Tensor> style_weights, style_biases;
  int64_t style_size = 0;
  const auto add_style = [&](const at::Tensor& weight, const at::Tensor& bias) {
    style_weights.push_back(weight);
    style_biases.push_back(bias);
    style_size += weight.size(0);
  };

  for (size_t i = 0; i < plan.modules.size(); ++i) {
    const ModulePlan& module_plan = plan.modules[i];
    const auto p = [&](size_t k) -> const at::Tensor& {
      return parameters[generator.FirstParameter(i) + k];
    };
    FoldedGenerator::Module module;
    int64_t resolution = module_plan.resolution;
    switch (module_plan.kind) {
      case ModuleKind::kLinear:
        break;  // In the step biases.
      case ModuleKind::kConv3x3:
        module.convs = {{p(0), p(1), resolution, /*padding=*/1}};
        break;
      case ModuleKind::kResBlock:
      case ModuleKind::kResBlockDown:
      case ModuleKind::kResBlockUp:
        if (module_plan.kind == ModuleKind::kResBlockDown) resolution /= 2;
        if (module_plan.kind == ModuleKind::kResBlockUp) resolution *= 2;
        module.style_offset = style_size;
        add_style(p(0), p(1));
        add_style(p(6), p(7));
        module.convs = {{p(2), at::Tensor(), resolution, /*padding=*/1},
                        {p(8), p(9), resolution, /*padding=*/1}};
        if (HasSkipConv(module_plan)) {
          module.convs.push_back({p(10), p(11), resolution});
        }
        break;
      case ModuleKind::kAttention: {
        module.norm_scale = p(0);
        module.norm_shift = p(1);
        // NIN weights are (in, out).
        const double scale = 1.0 / std::sqrt(module_plan.in_channels);
        module.convs = {
            {AsConv1x1(at::cat({p(2).t() * scale, p(4).t(), p(6).t()})),
             at::cat({p(3) * scale, p(5), p(7)}), resolution},
            {AsConv1x1(p(8).t()), p(9), resolution}};
        break;
      }
      case ModuleKind::kConvDown:
        // FirSmooth makes the input one pixel larger.
        module.convs = {{p(0), p(1), resolution + 1, /*padding=*/0,
                         /*stride=*/2}};
        break;
      case ModuleKind::kCombine:
        module.convs = {{p(0), p(1), resolution}};
        break;
      case ModuleKind::kGroupNorm:
        module.norm_scale = p(0);
        module.norm_shift = p(1);
        break;
    }
    folded.modules.push_back(std::move(module));
  }
  folded.style_weight = at::cat(style_weights);
  folded.style_bias = at::cat(style_biases);
  folded.latent_parameters.assign(
      parameters.begin() +
          static_cast<std::ptrdiff_t>(generator.FirstLatentParameter()),
      parameters.end());
  return folded;
}

void AddStepBiases(const Generator& generator, FoldedGenerator* folded) {
  const c10::NoGradGuard no_grad;
  const at::Tensor time = at::silu(generator.TimeFeatures(at::arange(
      generator.config().num_timesteps, at::TensorOptions(at::kLong))));
  for (size_t i = 0; i < folded->modules.size(); ++i) {
    FoldedGenerator::Module& module = folded->modules[i];
    if (module.style_offset < 0) continue;
    const at::Tensor* p = &generator.parameters()[generator.FirstParameter(i)];
    module.step_biases = (at::linear(time, p[4], p[5]) + p[3]).contiguous();
  }
}

}  // namespace ddgan
