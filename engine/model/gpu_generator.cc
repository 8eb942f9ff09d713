#include "engine/model/gpu_generator.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/tanh.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <vector>

#include "engine/model/fused_operators.h"
#include "engine/model/generator_walk.h"
#include "engine/model/latent_mapping.h"
#include "engine/model/tensor_modules.h"

namespace ddgan {
namespace {

// A copy even where device and dtype are right already.
void Move(at::Tensor& tensor, c10::Device device, c10::ScalarType dtype) {
  if (!tensor.defined()) return;
  tensor = tensor.to(at::dtype(dtype).device(device), /*non_blocking=*/false,
                     /*copy=*/true);
}

}  // namespace

GpuGenerator::GpuGenerator(const Model& model, c10::Device device,
                           Precision precision)
    : config_(model.config()),
      plan_(PlanGenerator(config_)),
      fir_(config_.fir_kernel),
      dtype_(precision == Precision::kBfloat16 ? at::kBFloat16 : at::kFloat) {
  const c10::NoGradGuard no_grad;
  const Generator generator(config_, model.parameters());
  weights_ = FoldGenerator(generator);
  AddStepBiases(generator, &weights_);
  for (FoldedGenerator::Module& module : weights_.modules) {
    for (FoldedGenerator::Conv& conv : module.convs) {
      Move(conv.weight, device, dtype_);
      conv.weight = conv.weight.contiguous(at::MemoryFormat::ChannelsLast);
      Move(conv.bias, device, at::kFloat);
    }
    // The skip's bias and the second convolution's are added at once.
    if (module.convs.size() > 2) {
      module.convs[1].bias.add_(module.convs[2].bias);
    }
    Move(module.step_biases, device, at::kFloat);
    Move(module.norm_scale, device, dtype_);
    Move(module.norm_shift, device, dtype_);
  }
  Move(weights_.style_weight, device, dtype_);
  Move(weights_.style_bias, device, dtype_);
  for (at::Tensor& tensor : weights_.latent_parameters) {
    Move(tensor, device, dtype_);
  }
  bytes_ = weights_.bytes();
}

// One forward pass: all blocks' styles, the step of each image, and each module
// as few passes over memory.
class GpuGenerator::Modules : public TensorModules {
 public:
  Modules(const GpuGenerator& model, const at::Tensor& styles,
          const at::Tensor& t, Convolutions& convolutions)
      : TensorModules(model.fir_),
        model_(model),
        styles_(styles),
        t_(t),
        convolutions_(convolutions) {}

  Value Conv(size_t i, const Value& x) {
    return Run(Module(i).convs[0], x, /*add_bias=*/true);
  }

  Value ResBlock(size_t i, const Value& x) {
    const FoldedGenerator::Module& module = Module(i);
    const ModulePlan& plan = model_.plan_.modules[i];
    const int64_t in = plan.in_channels, out = plan.out_channels;
    const int64_t style = module.style_offset;
    Value h = BiasedGroupNormAct(x, nullptr, Style(style, in),
                                 Style(style + in, in), NormActivation::kSilu);
    h = Resample(plan.kind, h);
    Value skip = Resample(plan.kind, x);
    h = Run(module.convs[0], h);
    const StepBiases step_biases = {module.step_biases, t_};
    h = BiasedGroupNormAct(h, &step_biases, Style(style + 2 * in, out),
                           Style(style + 2 * in + out, out),
                           NormActivation::kSilu);
    h = Run(module.convs[1], h);
    if (module.convs.size() > 2) skip = Run(module.convs[2], skip);
    return AddBiasInto(h, skip, module.convs[1].bias, kInverseSqrt2);
  }

  Value Attention(size_t i, const Value& x) {
    const FoldedGenerator::Module& module = Module(i);
    const int64_t channels = x.size(1);
    const Value normed =
        BiasedGroupNormAct(x, nullptr, module.norm_scale, module.norm_shift,
                           NormActivation::kNone);
    const Value qkv = Run(module.convs[0], normed, /*add_bias=*/true)
                          .permute({0, 2, 3, 1})
                          .view({x.size(0), 1, -1, 3 * channels});
    // q holds the softmax's scale.
    const Value mixed = at::scaled_dot_product_attention(
        qkv.narrow(3, 0, channels), qkv.narrow(3, channels, channels),
        qkv.narrow(3, 2 * channels, channels), /*attn_mask=*/{},
        /*dropout_p=*/0, /*is_causal=*/false, /*scale=*/1);
    const Value image =
        mixed.reshape({x.size(0), x.size(2), x.size(3), channels})
            .permute({0, 3, 1, 2})
            .contiguous(at::MemoryFormat::ChannelsLast);
    return AddBiasInto(Run(module.convs[1], image), x, module.convs[1].bias,
                       kInverseSqrt2);
  }

  Value ConvDown(size_t i, const Value& x) {
    return Run(Module(i).convs[0], Smooth(x), /*add_bias=*/true);
  }
  Value Combine(size_t i, const Value& pyramid, const Value& h) {
    const FoldedGenerator::Conv& conv = Module(i).convs[0];
    return AddBiasInto(Run(conv, pyramid), h, conv.bias, 1);
  }
  Value NormSilu(size_t i, const Value& x) {
    return BiasedGroupNormAct(x, nullptr, Module(i).norm_scale,
                              Module(i).norm_shift, NormActivation::kSilu);
  }

 private:
  const FoldedGenerator::Module& Module(size_t i) const {
    return model_.weights_.modules[i];
  }

  // `count` values of every image's styles.
  at::Tensor Style(int64_t first, int64_t count) const {
    return styles_.narrow(1, first, count);
  }

  Value Run(const FoldedGenerator::Conv& conv, const Value& x,
            bool add_bias = false) {
    const Value y =
        convolutions_.Run(x, conv.weight, conv.stride, conv.padding);
    return add_bias ? AddBiasInto(y, {}, conv.bias, 1) : y;
  }

  const GpuGenerator& model_;
  const at::Tensor styles_;  // [B, sum]
  const at::Tensor t_;
  Convolutions& convolutions_;
};

// Always of kStyleRows rows at once, so that the same kernels run for every
// batch: these matrices are small beside the network.
at::Tensor GpuGenerator::Styles(const at::Tensor& z) const {
  constexpr int64_t kStyleRows = 256;
  std::vector<at::Tensor> styles;
  for (int64_t first = 0; first < z.size(0); first += kStyleRows) {
    const int64_t count = std::min(kStyleRows, z.size(0) - first);
    const at::Tensor rows = at::constant_pad_nd(
        z.narrow(0, first, count), {0, 0, 0, kStyleRows - count}, 1);
    styles.push_back(at::linear(MapLatent(rows, weights_.latent_parameters),
                                weights_.style_weight, weights_.style_bias)
                         .narrow(0, 0, count));
  }
  return styles.size() == 1 ? styles[0] : at::cat(styles);
}

at::Tensor GpuGenerator::Run(const at::Tensor& x, const at::Tensor& t,
                             const at::Tensor& z,
                             Convolutions& convolutions) const {
  const c10::NoGradGuard no_grad;
  Modules modules(*this, Styles(z.to(dtype_)), t, convolutions);
  const at::Tensor image =
      x.to(dtype_).contiguous(at::MemoryFormat::ChannelsLast);
  return at::tanh(WalkGenerator(config_, plan_, image, modules).to(at::kFloat));
}

}  // namespace ddgan
