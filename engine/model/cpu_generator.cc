#include "engine/model/cpu_generator.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/addmv.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/mkldnn_reorder_conv2d_weight.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/tanh.h>
#include <c10/core/GradMode.h>

#include <cstring>
#include <optional>
#include <string_view>
#include <vector>

#include "engine/model/generator_walk.h"
#include "engine/model/latent_mapping.h"
#include "engine/model/nhwc_kernels.h"
#include "engine/model/tensor_modules.h"

namespace ddgan {
namespace {

// The operator that torch.compile uses for packed convolutions; it has no C++
// declaration, so it is looked up by name.
at::Tensor PackedConv(const at::Tensor& x, const at::Tensor& weight,
                      const std::optional<at::Tensor>& bias, int64_t padding,
                      int64_t stride) {
  using Scalars = c10::List<std::optional<at::Scalar>>;
  using Signature = at::Tensor(
      const at::Tensor&, const at::Tensor&, const std::optional<at::Tensor>&,
      at::IntArrayRef, at::IntArrayRef, at::IntArrayRef, int64_t,
      std::string_view, Scalars, std::optional<std::string_view>);
  static const auto op =
      c10::Dispatcher::singleton()
          .findSchemaOrThrow("mkldnn::_convolution_pointwise", "")
          .typed<Signature>();
  static const Scalars no_scalars;
  const int64_t paddings[] = {padding, padding}, strides[] = {stride, stride},
                dilations[] = {1, 1};
  return op.call(x, weight, bias, paddings, strides, dilations, /*groups=*/1,
                 "none", no_scalars, "");
}

at::Tensor EmptyImage(int64_t channels, int64_t height, int64_t width) {
  return at::empty({1, channels, height, width},
                   at::TensorOptions(at::kFloat)
                       .memory_format(at::MemoryFormat::ChannelsLast));
}

}  // namespace

CpuGenerator::CpuGenerator(const Generator& generator)
    : config_(generator.config()),
      plan_(generator.plan()),
      fir_(config_.fir_kernel) {
  const c10::NoGradGuard no_grad;
  // Nothing is shared with the generator: its parameters may be about to
  // change.
  const auto copy = [](at::Tensor& tensor) {
    if (tensor.defined()) tensor = tensor.clone();
  };
  weights_ = FoldGenerator(generator);
  for (FoldedGenerator::Module& module : weights_.modules) {
    for (FoldedGenerator::Conv& conv : module.convs) {
      conv.weight = at::mkldnn_reorder_conv2d_weight(
          conv.weight.contiguous().to_mkldnn(), {conv.padding, conv.padding},
          {conv.stride, conv.stride}, {1, 1}, /*groups=*/1,
          std::vector<int64_t>{1, conv.weight.size(1), conv.resolution,
                               conv.resolution});
      copy(conv.bias);
    }
    copy(module.norm_scale);
    copy(module.norm_shift);
  }
  for (at::Tensor& tensor : weights_.latent_parameters) copy(tensor);
}

// Scale and shift of every adaptive norm for one latent.
at::Tensor CpuGenerator::Styles(const float* z) const {
  const at::Tensor latent =
      at::from_blob(const_cast<float*>(z), {1, config_.nz}, at::kFloat);
  const at::Tensor style = MapLatent(latent, weights_.latent_parameters);
  return at::addmv(weights_.style_bias, weights_.style_weight,
                   style.view({-1}));
}

class CpuGenerator::Modules : public TensorModules {
 public:
  Modules(const CpuGenerator& generator, const float* styles, int t)
      : TensorModules(generator.fir_),
        generator_(generator),
        styles_(styles),
        t_(t) {}

  Value Conv(size_t i, const Value& x) { return Run(Module(i).convs[0], x); }

  Value ResBlock(size_t i, const Value& x) {
    const FoldedGenerator::Module& module = Module(i);
    const ModulePlan& plan = generator_.plan_.modules[i];
    const int64_t in = plan.in_channels, out = plan.out_channels;
    const float* style = styles_ + module.style_offset;
    Value h = Norm(x, style, style + in, nhwc::Activation::kSilu);
    h = Resample(plan.kind, h);
    Value skip = Resample(plan.kind, x);
    h = PackedConv(h, module.convs[0].weight, module.step_biases.select(0, t_),
                   1, 1);
    style += 2 * in;
    h = Norm(h, style, style + out, nhwc::Activation::kSilu);
    h = Run(module.convs[1], h);
    if (module.convs.size() > 2) skip = Run(module.convs[2], skip);
    return AddInto(h, skip, kInverseSqrt2);
  }

  Value Attention(size_t i, const Value& x) {
    const FoldedGenerator::Module& module = Module(i);
    const int64_t channels = x.size(1), pixels = x.size(2) * x.size(3);
    const Value normed = Norm(x, module.norm_scale.const_data_ptr<float>(),
                              module.norm_shift.const_data_ptr<float>(),
                              nhwc::Activation::kNone);
    // channels_last: the rows of a matrix [pixels, 3 C].
    const Value qkv = Run(module.convs[0], normed)
                          .permute({0, 2, 3, 1})
                          .view({1, pixels, 3 * channels});
    const Value weights =
        at::softmax(at::bmm(qkv.narrow(2, 0, channels),
                            qkv.narrow(2, channels, channels).mT()),
                    -1);
    const Value mixed = at::bmm(weights, qkv.narrow(2, 2 * channels, channels))
                            .view({1, x.size(2), x.size(3), channels})
                            .permute({0, 3, 1, 2});
    return AddInto(Run(module.convs[1], mixed), x, kInverseSqrt2);
  }

  Value ConvDown(size_t i, const Value& x) {
    return Run(Module(i).convs[0], Smooth(x));
  }
  Value Combine(size_t i, const Value& pyramid, const Value& h) {
    return AddInto(Run(Module(i).convs[0], pyramid), h, 1);
  }
  Value NormSilu(size_t i, const Value& x) {
    return Norm(x, Module(i).norm_scale.const_data_ptr<float>(),
                Module(i).norm_shift.const_data_ptr<float>(),
                nhwc::Activation::kSilu);
  }
  // In place of the base's: `a` is fresh wherever the walk asks for these two.
  Value RescaledSum(const Value& a, const Value& b) {
    return AddInto(a, b, kInverseSqrt2);
  }
  Value Sum(const Value& a, const Value& b) { return AddInto(a, b, 1); }

 private:
  const FoldedGenerator::Module& Module(size_t i) const {
    return generator_.weights_.modules[i];
  }

  static Value Run(const FoldedGenerator::Conv& conv, const Value& x) {
    return PackedConv(x, conv.weight, conv.bias, conv.padding, conv.stride);
  }

  static Value Norm(const Value& x, const float* scale, const float* shift,
                    nhwc::Activation activation) {
    const int64_t channels = x.size(1);
    const int64_t groups = GroupNormGroups(static_cast<int>(channels));
    float mean[32], rstd[32];  // At most 32 groups.
    Value y = EmptyImage(channels, x.size(2), x.size(3));
    nhwc::GroupNorm(x.const_data_ptr<float>(), x.size(2) * x.size(3), channels,
                    groups, scale, shift, activation,
                    y.mutable_data_ptr<float>(), mean, rstd);
    return y;
  }

  // a = (a + b) * factor, where nothing else refers to a.
  static Value AddInto(Value a, const Value& b, float factor) {
    float* out = a.mutable_data_ptr<float>();
    nhwc::AddScale(out, b.const_data_ptr<float>(), factor, a.numel(), out);
    return a;
  }

  const CpuGenerator& generator_;
  const float* styles_;
  const int t_;
};

void CpuGenerator::Run(const float* x, int t, const float* z, float* x0) const {
  const c10::NoGradGuard no_grad;
  const int64_t size = config_.image_size, channels = config_.num_channels;
  at::Tensor image = EmptyImage(channels, size, size);
  image.copy_(at::from_blob(const_cast<float*>(x), {1, channels, size, size},
                            at::kFloat));
  const at::Tensor styles = Styles(z);
  Modules modules(*this, styles.const_data_ptr<float>(), t);
  const at::Tensor output =
      at::tanh(WalkGenerator(config_, plan_, image, modules)).contiguous();
  std::memcpy(x0, output.const_data_ptr<float>(), output.nbytes());
}

}  // namespace ddgan
