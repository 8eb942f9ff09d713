// The part of CpuGenerator that makes the weights ready.
#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "engine/diffusion/portable_math.h"
#include "engine/kernels/elementwise.h"
#include "engine/model/cpu_generator.h"
#include "engine/model/folded_generator.h"
#include "engine/model/generator.h"
#include "engine/model/operators.h"

namespace ddgan {
namespace {

// Floats of packed weights per parameter of the network, and how many more a
// small network may have all the same.
constexpr double kWeightsPerParameter = 1.3;
constexpr int64_t kSpareWeights = int64_t{1} << 20;

kernels::Taps ToTaps(const FirKernel& kernel) {
  kernels::Taps taps;
  std::transform(kernel.taps().begin(), kernel.taps().end(), taps.begin(),
                 [](double tap) { return static_cast<float>(tap); });
  return taps;
}

kernels::ConvolutionShape ShapeOf(const FoldedGenerator::Conv& conv) {
  return {.in = conv.weight.size(1),
          .out = conv.weight.size(0),
          .size = conv.resolution,
          .kernel = static_cast<int>(conv.weight.size(2)),
          .stride = static_cast<int>(conv.stride),
          .padding = static_cast<int>(conv.padding)};
}

const float* Values(const at::Tensor& tensor) {
  return tensor.const_data_ptr<float>();
}

// rows weight^T + bias: rows [count, in], weight [out, in], bias [out].
kernels::FloatBuffer MultiplyAll(const float* rows, int64_t count,
                                 const at::Tensor& weight, const float* bias) {
  const int64_t out = weight.size(0), in = weight.size(1);
  const kernels::FloatBuffer packed =
      kernels::NewFloatBuffer(kernels::PackedSize(in, out));
  kernels::PackMatrix(Values(weight), in, out, 1, in, packed.get());
  std::vector<const float*> runs;
  for (int64_t i = 0; i < count; ++i) runs.push_back(rows + i * in);
  kernels::FloatBuffer y = kernels::NewFloatBuffer(count * out);
  kernels::MultiplyRows({runs.data(), count, 1, in}, {packed.get(), in, out}, 0,
                        kernels::PanelsOf(out), bias, 0, y.get(), out);
  return y;
}

// SiLU of the time features of t = 0 to T-1 (MODEL.md 3.1), [T, 4 nf], by
// kernels that give every processor the same bits. `weights`: of Lin0 and Lin1,
// each with its bias.
kernels::FloatBuffer TimeFeatures(int64_t steps, int64_t width,
                                  absl::Span<const at::Tensor> weights) {
  const int64_t half = width / 2;
  kernels::FloatBuffer features = kernels::NewFloatBuffer(steps * width);
  for (int64_t t = 0; t < steps; ++t) {
    float* const row = features.get() + t * width;
    std::fill_n(row, width, 0.0f);
    for (int64_t j = 0; j < half; ++j) {
      const float frequency = static_cast<float>(
          PortableExp(-PortableLog(10000.0) / static_cast<double>(half - 1) *
                      static_cast<double>(j)));
      const double angle =
          static_cast<double>(static_cast<float>(t) * frequency);
      row[j] = static_cast<float>(PortableSin(angle));
      row[half + j] = static_cast<float>(PortableCos(angle));
    }
  }
  for (size_t i = 0; i + 1 < weights.size(); i += 2) {
    const int64_t out = weights[i].size(0);
    features =
        MultiplyAll(features.get(), steps, weights[i], Values(weights[i + 1]));
    kernels::Silu(features.get(), steps * out);
  }
  return features;
}

// Of all convolutions, in order.
std::vector<kernels::ConvolutionMethod> MethodsOf(
    const Generator& generator, const FoldedGenerator& folded) {
  int64_t parameters = 0;
  for (const at::Tensor& parameter : generator.parameters()) {
    parameters += parameter.numel();
  }
  // What is held beside the convolutions' weights.
  int64_t others = folded.bytes() / static_cast<int64_t>(sizeof(float));
  std::vector<kernels::ConvolutionShape> shapes;
  for (const FoldedGenerator::Module& module : folded.modules) {
    for (const FoldedGenerator::Conv& conv : module.convs) {
      others -= conv.weight.numel();
      shapes.push_back(ShapeOf(conv));
    }
    if (module.style_offset >= 0) {  // The step biases of a ResBlock.
      others +=
          generator.config().num_timesteps * module.convs[0].weight.size(0);
    }
  }
  const int64_t all =
      std::max(static_cast<int64_t>(kWeightsPerParameter *
                                    static_cast<double>(parameters)),
               parameters + kSpareWeights);
  return kernels::ChooseMethods(shapes, all - others);
}

}  // namespace

kernels::FloatBuffer CpuGenerator::Copy(const float* values, int64_t count) {
  kernels::FloatBuffer copy = kernels::NewFloatBuffer(count);
  std::copy_n(values, count, copy.get());
  bytes_ += count * static_cast<int64_t>(sizeof(float));
  return copy;
}

CpuGenerator::Linear CpuGenerator::NewLinear(const float* weight,
                                             const float* bias, int64_t in,
                                             int64_t out) {
  Linear linear;
  linear.in = in;
  linear.out = out;
  const int64_t count = kernels::PackedSize(in, out);
  linear.packed = kernels::NewFloatBuffer(count);
  kernels::PackMatrix(weight, in, out, 1, in, linear.packed.get());
  bytes_ += count * static_cast<int64_t>(sizeof(float));
  linear.bias = Copy(bias, out);
  return linear;
}

CpuGenerator::CpuGenerator(const Generator& generator)
    : config_(generator.config()), plan_(generator.plan()) {
  const FirKernel fir(config_.fir_kernel);
  taps_up_ = ToTaps(fir.Times(2));
  taps_ = ToTaps(fir.Flipped());
  const FoldedGenerator folded = FoldGenerator(generator);
  // Null for a tensor that is not there.
  const auto copy = [this](const at::Tensor& tensor) {
    if (!tensor.defined()) return kernels::FloatBuffer();
    const at::Tensor values = tensor.contiguous();
    return Copy(values.const_data_ptr<float>(), values.numel());
  };
  const std::vector<kernels::ConvolutionMethod> methods =
      MethodsOf(generator, folded);
  size_t next_method = 0;
  const int64_t steps = config_.num_timesteps;
  std::vector<at::Tensor> parameters;
  for (const at::Tensor& parameter : generator.parameters()) {
    parameters.push_back(parameter.detach().contiguous());
  }
  const kernels::FloatBuffer time =
      TimeFeatures(steps, config_.num_channels_dae,
                   absl::MakeSpan(parameters).subspan(0, 4));
  for (size_t i = 0; i < folded.modules.size(); ++i) {
    const FoldedGenerator::Module& from = folded.modules[i];
    Module module;
    for (const FoldedGenerator::Conv& conv : from.convs) {
      const at::Tensor weight = conv.weight.contiguous();
      const kernels::ConvolutionShape shape = ShapeOf(conv);
      module.convolutions.push_back(
          {kernels::Convolution(shape, methods[next_method++],
                                kernels::FiltersOf(shape, Values(weight))),
           copy(conv.bias)});
      const kernels::Convolution& made = module.convolutions.back().convolution;
      bytes_ += made.weight_count() * static_cast<int64_t>(sizeof(float));
    }
    if (from.style_offset >= 0) {
      // A ResBlock's Dense_0, and the bias of the convolution that it is added
      // to (generator.cc has the order of parameters).
      const at::Tensor* p = &parameters[generator.FirstParameter(i)];
      const at::Tensor bias = p[3] + p[5];
      module.step_biases = MultiplyAll(time.get(), steps, p[4], Values(bias));
      bytes_ += steps * p[4].size(0) * static_cast<int64_t>(sizeof(float));
    }
    module.style_offset = from.style_offset;
    module.norm_scale = copy(from.norm_scale);
    module.norm_shift = copy(from.norm_shift);
    modules_.push_back(std::move(module));
  }
  const auto linear = [this](const at::Tensor& weight, const at::Tensor& bias) {
    const at::Tensor w = weight.contiguous(), b = bias.contiguous();
    return NewLinear(w.const_data_ptr<float>(), b.const_data_ptr<float>(),
                     w.size(1), w.size(0));
  };
  const Parameters& latent = folded.latent_parameters;
  for (size_t i = 0; i + 1 < latent.size(); i += 2) {
    latent_mapping_.push_back(linear(latent[i], latent[i + 1]));
  }
  styles_ = linear(folded.style_weight, folded.style_bias);
}

CpuGenerator::~CpuGenerator() = default;

}  // namespace ddgan
