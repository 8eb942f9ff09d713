#include "engine/model/operators.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/conv_transpose2d.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/group_norm.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/tensor.h>
#include <c10/core/DeviceGuard.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>

#include "engine/kernels/elementwise.h"
#include "engine/model/fir_gpu.h"
#include "engine/model/fir_pass.h"
#include "engine/model/generator_plan.h"
#include "engine/model/nhwc_kernels.h"

namespace ddgan {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

constexpr double kGroupNormEpsilon = 1e-6;

bool UsesNhwcKernels(const at::Tensor& x) {
  return x.device().is_cpu() && x.scalar_type() == at::kFloat;
}

// Where autocast hands over bfloat16: widened, the kernels are faster than
// LibTorch's operators are on it.
bool IsBfloat16OnCpu(const at::Tensor& x) {
  return x.device().is_cpu() && x.scalar_type() == at::kBFloat16;
}

bool UsesFirGpu(const at::Tensor& x) {
  return x.device().is_cuda() &&
         (x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16);
}

at::Tensor ChannelsLast(const at::Tensor& x) {
  return x.contiguous(at::MemoryFormat::ChannelsLast);
}

at::Tensor EmptyChannelsLast(const at::Tensor& like, int64_t height,
                             int64_t width) {
  return at::empty(
      {like.size(0), like.size(1), height, width},
      like.options().memory_format(at::MemoryFormat::ChannelsLast));
}

nhwc::Taps FloatTaps(const std::array<double, 4>& taps) {
  nhwc::Taps out;
  for (int j = 0; j < 4; ++j) out[j] = static_cast<float>(taps[j]);
  return out;
}

// Runs `image(b)` for each image of a batch on LibTorch's threads.
template <typename PerImage>
void ForEachImage(int64_t batch, const PerImage& image) {
  at::parallel_for(0, batch, 1, [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) image(b);
  });
}

// One linear filter and how it samples. `taps` are those of nhwc_kernels.h.
struct FirSpec {
  FirMode mode;
  std::array<double, 4> taps;
  int64_t pad = 0;  // kFilter only

  FirSpec Adjoint() const {
    switch (mode) {
      case FirMode::kDown:
        return {FirMode::kUp, taps, 0};
      case FirMode::kUp:
        return {FirMode::kDown, taps, 0};
      case FirMode::kFilter:
        break;
    }
    return {FirMode::kFilter, {taps[3], taps[2], taps[1], taps[0]}, 3 - pad};
  }
};

void FirOnGpu(const FirPass& pass, const at::Tensor& x, const at::Tensor& out) {
  const c10::OptionalDeviceGuard guard(x.device());
  if (x.scalar_type() == at::kBFloat16) {
    FirGpu(pass, x.const_data_ptr<at::BFloat16>(),
           out.mutable_data_ptr<at::BFloat16>());
  } else {
    FirGpu(pass, x.const_data_ptr<float>(), out.mutable_data_ptr<float>());
  }
}

at::Tensor FirNhwc(const at::Tensor& input, const FirSpec& spec) {
  const at::Tensor x = ChannelsLast(input);
  const int64_t batch = x.size(0), channels = x.size(1), height = x.size(2),
                width = x.size(3);
  int64_t out_height = height / 2, out_width = width / 2;
  if (spec.mode == FirMode::kUp) {
    out_height = 2 * height;
    out_width = 2 * width;
  } else if (spec.mode == FirMode::kFilter) {
    out_height = height + 2 * spec.pad - 3;
    out_width = width + 2 * spec.pad - 3;
  }
  at::Tensor out = EmptyChannelsLast(x, out_height, out_width);
  if (x.device().is_cuda()) {
    const nhwc::Taps taps = FloatTaps(spec.taps);
    FirOnGpu({spec.mode,
              {taps[0], taps[1], taps[2], taps[3]},
              static_cast<int>(spec.pad),
              batch,
              static_cast<int>(height),
              static_cast<int>(width),
              static_cast<int>(channels),
              static_cast<int>(out_height),
              static_cast<int>(out_width)},
             x, out);
    return out;
  }
  const float* in_data = x.const_data_ptr<float>();
  float* out_data = out.mutable_data_ptr<float>();
  const nhwc::Taps taps = FloatTaps(spec.taps);
  ForEachImage(batch, [&](int64_t b) {
    const float* from = in_data + b * height * width * channels;
    float* to = out_data + b * out_height * out_width * channels;
    switch (spec.mode) {
      case FirMode::kDown:
        nhwc::FirDown(from, height, width, channels, taps, to);
        break;
      case FirMode::kUp:
        nhwc::FirUp(from, height, width, channels, taps, to);
        break;
      case FirMode::kFilter:
        nhwc::FirFilter(from, height, width, channels, taps, spec.pad, to);
        break;
    }
  });
  return out;
}

// Its backward calls itself with the adjoint filter, so that gradients of
// gradients (R1) work.
class FirFunction : public Function<FirFunction> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x,
                            int64_t mode, double t0, double t1, double t2,
                            double t3, int64_t pad) {
    const FirSpec spec{static_cast<FirMode>(mode), {t0, t1, t2, t3}, pad};
    context->saved_data["mode"] = mode;
    context->saved_data["taps"] = std::vector<double>{t0, t1, t2, t3};
    context->saved_data["pad"] = pad;
    return FirNhwc(x, spec);
  }

  static variable_list backward(AutogradContext* context,
                                const variable_list& gradients) {
    const auto taps = context->saved_data["taps"].toDoubleVector();
    const FirSpec adjoint =
        FirSpec{static_cast<FirMode>(context->saved_data["mode"].toInt()),
                {taps[0], taps[1], taps[2], taps[3]},
                context->saved_data["pad"].toInt()}
            .Adjoint();
    variable_list result(7);
    result[0] = Run(gradients[0], adjoint);
    return result;
  }

  static at::Tensor Run(const at::Tensor& x, const FirSpec& spec) {
    if (!at::GradMode::is_enabled() || !x.requires_grad()) {
      return FirNhwc(x, spec);
    }
    return apply(x, static_cast<int64_t>(spec.mode), spec.taps[0], spec.taps[1],
                 spec.taps[2], spec.taps[3], spec.pad);
  }
};

// outer(taps, taps) as a depthwise weight [C, 1, 4, 4].
at::Tensor DepthwiseWeight(const std::array<double, 4>& taps,
                           const at::Tensor& like) {
  std::vector<double> square;
  square.reserve(16);
  for (double row : taps) {
    for (double column : taps) square.push_back(row * column);
  }
  return at::tensor(square, at::dtype(at::kDouble))
      .to(like.options())
      .view({1, 1, 4, 4})
      .expand({like.size(1), 1, 4, 4});
}

at::Tensor Fir(const at::Tensor& x, const FirSpec& spec) {
  if (IsBfloat16OnCpu(x)) return Fir(x.to(at::kFloat), spec).to(at::kBFloat16);
  const bool even = x.size(2) % 2 == 0 && x.size(3) % 2 == 0;
  if ((UsesNhwcKernels(x) || UsesFirGpu(x)) &&
      (even || spec.mode != FirMode::kDown)) {
    return FirFunction::Run(x, spec);
  }
  const at::Tensor weight = DepthwiseWeight(spec.taps, x);
  switch (spec.mode) {
    case FirMode::kUp:
      return at::conv_transpose2d(x, weight, {}, /*stride=*/2, /*padding=*/1,
                                  /*output_padding=*/0, /*groups=*/x.size(1));
    case FirMode::kDown:
      return at::conv2d(x, weight, {}, /*stride=*/2, /*padding=*/1,
                        /*dilation=*/1, /*groups=*/x.size(1));
    case FirMode::kFilter:
      break;
  }
  return at::conv2d(x, weight, {}, /*stride=*/1, /*padding=*/spec.pad,
                    /*dilation=*/1, /*groups=*/x.size(1));
}

// Float32, an image's channels side by side.
at::Tensor FloatRows(const at::Tensor& parameter) {
  const at::Tensor rows = parameter.to(at::kFloat);
  return rows.stride(-1) == 1 ? rows : rows.contiguous();
}

// Of FloatRows: row b of [B, C], or all of [C].
const float* ImageRow(const at::Tensor& parameter, int64_t b) {
  return parameter.const_data_ptr<float>() +
         (parameter.dim() == 2 ? b * parameter.stride(0) : 0);
}

struct NormResult {
  at::Tensor y;
  at::Tensor mean;  // [B, groups]
  at::Tensor rstd;
};

NormResult GroupNormNhwc(const at::Tensor& x, const at::Tensor& scale,
                         const at::Tensor& shift, NormActivation activation) {
  const int64_t batch = x.size(0), channels = x.size(1),
                pixels = x.size(2) * x.size(3);
  const int64_t groups = GroupNormGroups(static_cast<int>(channels));
  NormResult result{EmptyChannelsLast(x, x.size(2), x.size(3)),
                    at::empty({batch, groups}, x.options()),
                    at::empty({batch, groups}, x.options())};
  const float* in_data = x.const_data_ptr<float>();
  float* y = result.y.mutable_data_ptr<float>();
  float* mean = result.mean.mutable_data_ptr<float>();
  float* rstd = result.rstd.mutable_data_ptr<float>();
  ForEachImage(batch, [&](int64_t b) {
    nhwc::GroupNorm(in_data + b * pixels * channels, pixels, channels, groups,
                    ImageRow(scale, b), ImageRow(shift, b), activation,
                    y + b * pixels * channels, mean + b * groups,
                    rstd + b * groups);
  });
  return result;
}

class GroupNormFunction : public Function<GroupNormFunction> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x,
                            const at::Tensor& scale, const at::Tensor& shift,
                            bool silu) {
    const NormActivation activation =
        silu ? NormActivation::kSilu : NormActivation::kNone;
    NormResult result = GroupNormNhwc(x, scale, shift, activation);
    context->save_for_backward({x, scale, shift, result.mean, result.rstd});
    context->saved_data["silu"] = silu;
    return result.y;
  }

  static variable_list backward(AutogradContext* context,
                                const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &scale = saved[1], &shift = saved[2];
    const at::Tensor dy = ChannelsLast(gradients[0]);
    const int64_t batch = x.size(0), channels = x.size(1),
                  pixels = x.size(2) * x.size(3);
    const int64_t groups = saved[3].size(1);
    at::Tensor dx = at::empty_like(x);
    at::Tensor dscale = at::empty({batch, channels}, x.options());
    at::Tensor dshift = at::empty({batch, channels}, x.options());
    const NormActivation activation = context->saved_data["silu"].toBool()
                                          ? NormActivation::kSilu
                                          : NormActivation::kNone;
    const float* x_data = x.const_data_ptr<float>();
    const float* dy_data = dy.const_data_ptr<float>();
    const float* mean = saved[3].const_data_ptr<float>();
    const float* rstd = saved[4].const_data_ptr<float>();
    float* dx_data = dx.mutable_data_ptr<float>();
    float* dscale_data = dscale.mutable_data_ptr<float>();
    float* dshift_data = dshift.mutable_data_ptr<float>();
    ForEachImage(batch, [&](int64_t b) {
      const int64_t image = b * pixels * channels;
      nhwc::GroupNormBackward(
          x_data + image, pixels, channels, groups, ImageRow(scale, b),
          ImageRow(shift, b), activation, mean + b * groups, rstd + b * groups,
          dy_data + image, dx_data + image, dscale_data + b * channels,
          dshift_data + b * channels);
    });
    if (scale.dim() == 1) {
      dscale = dscale.sum(0);
      dshift = dshift.sum(0);
    }
    return {dx, dscale, dshift, at::Tensor()};
  }
};

// In one pass over memory.
class RescaledSumFunction : public Function<RescaledSumFunction> {
 public:
  static at::Tensor forward(AutogradContext*, const at::Tensor& a,
                            const at::Tensor& b) {
    const at::Tensor x = ChannelsLast(a), y = ChannelsLast(b);
    const at::Tensor sum = at::empty_like(x);
    at::parallel_for(0, x.numel(), 1 << 15, [&](int64_t begin, int64_t end) {
      kernels::AddScale(x.const_data_ptr<float>() + begin,
                        y.const_data_ptr<float>() + begin,
                        static_cast<float>(kInverseSqrt2), end - begin,
                        sum.mutable_data_ptr<float>() + begin);
    });
    return sum;
  }

  static variable_list backward(AutogradContext*,
                                const variable_list& gradients) {
    const at::Tensor gradient = gradients[0] * kInverseSqrt2;
    return {gradient, gradient};
  }
};

}  // namespace

FirKernel::FirKernel(const std::vector<double>& taps) {
  double sum = 0;
  for (double tap : taps) sum += tap;
  for (int j = 0; j < 4; ++j) taps_[j] = taps[j] / sum;
}

FirKernel FirKernel::Flipped() const {
  FirKernel kernel;
  kernel.taps_ = {taps_[3], taps_[2], taps_[1], taps_[0]};
  return kernel;
}

FirKernel FirKernel::Times(double factor) const {
  FirKernel kernel = *this;
  for (double& tap : kernel.taps_) tap *= factor;
  return kernel;
}

at::Tensor FirUpsample(const at::Tensor& x, const FirKernel& kernel) {
  // Zero insertion, then correlation with the flipped filter: a scatter of the
  // filter itself. Factor 2 per direction keeps the mean.
  return Fir(x, {FirMode::kUp, kernel.Times(2).taps()});
}

at::Tensor FirDownsample(const at::Tensor& x, const FirKernel& kernel) {
  return Fir(x, {FirMode::kDown, kernel.Flipped().taps()});
}

at::Tensor FirSmooth(const at::Tensor& x, const FirKernel& kernel) {
  return Fir(x, {FirMode::kFilter, kernel.Flipped().taps(), /*pad=*/2});
}

at::Tensor GroupNormAct(const at::Tensor& x, const at::Tensor& scale,
                        const at::Tensor& shift, NormActivation activation) {
  if (IsBfloat16OnCpu(x)) {
    return GroupNormAct(x.to(at::kFloat), scale.to(at::kFloat),
                        shift.to(at::kFloat), activation)
        .to(at::kBFloat16);
  }
  if (UsesNhwcKernels(x)) {
    const at::Tensor input = ChannelsLast(x);
    const at::Tensor rows = FloatRows(scale), shifts = FloatRows(shift);
    if (!at::GradMode::is_enabled()) {
      return GroupNormNhwc(input, rows, shifts, activation).y;
    }
    return GroupNormFunction::apply(input, rows, shifts,
                                    activation == NormActivation::kSilu);
  }
  at::Tensor y =
      at::group_norm(x, GroupNormGroups(x.size(1)), {}, {}, kGroupNormEpsilon);
  const int64_t rows = scale.dim() == 2 ? scale.size(0) : 1;
  y = y * scale.view({rows, -1, 1, 1}) + shift.view({rows, -1, 1, 1});
  return activation == NormActivation::kSilu ? at::silu(y) : y;
}

at::Tensor RescaledSum(const at::Tensor& a, const at::Tensor& b) {
  if (UsesNhwcKernels(a) && UsesNhwcKernels(b) && a.dim() == 4 &&
      a.sizes() == b.sizes()) {
    return RescaledSumFunction::apply(a, b);
  }
  return (a + b) * kInverseSqrt2;
}

}  // namespace ddgan
