#include "engine/model/cpu_generator.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <utility>

#include "engine/diffusion/portable_math.h"
#include "engine/kernels/attention.h"
#include "engine/kernels/elementwise.h"
#include "engine/kernels/group_norm.h"
#include "engine/model/folded_generator.h"
#include "engine/model/generator.h"
#include "engine/model/generator_walk.h"
#include "engine/model/operators.h"

namespace ddgan {
namespace {

using kernels::Workspace;

// Images of one pass at most, and the activations that a pass is to stay below
// where several images fit: beyond the caches more images share the weights
// without a gain.
constexpr int64_t kMaxRows = 64;
constexpr int64_t kPassFloats = int64_t{8} << 20;

// Floats of packed weights per parameter of the network, and how many more a
// small network may have all the same.
constexpr double kWeightsPerParameter = 1.3;
constexpr int64_t kSpareWeights = int64_t{1} << 20;

// One pointer per image of a pass.
using RowPointers = std::array<const float*, kMaxRows>;

RowPointers ForAllRows(const float* values) {
  RowPointers pointers;
  pointers.fill(values);
  return pointers;
}

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

// SiLU of the time features of t = 0 to T-1 (spec 3.2), [T, 4 nf], by kernels
// that give every processor the same bits. `weights`: of Lin0 and Lin1, each
// with its bias.
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
          {kernels::Convolution(
               shape, methods[next_method++],
               kernels::FiltersOf(shape, weight.const_data_ptr<float>())),
           copy(conv.bias)});
      const kernels::Convolution& made = module.convolutions.back().convolution;
      bytes_ += made.weight_count() * static_cast<int64_t>(sizeof(float));
      scratch_count_ = std::max(scratch_count_, made.scratch_count());
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

class CpuGenerator::Modules {
 public:
  // Images [count, size, size, channels].
  struct Value {
    Workspace::Buffer buffer;
    int64_t size = 0;
    int64_t channels = 0;
    float* data() const { return buffer.data(); }
  };

  // `styles` [rows.size(), styles_.out].
  Modules(const CpuGenerator& generator, absl::Span<const GeneratorRow> rows,
          const float* styles, Workspace& workspace,
          kernels::ThreadPool& threads)
      : generator_(generator),
        rows_(rows),
        count_(static_cast<int64_t>(rows.size())),
        styles_(styles),
        workspace_(workspace),
        threads_(threads) {}

  Value New(int64_t size, int64_t channels) {
    return {workspace_.Take(count_ * size * size * channels), size, channels};
  }

  Value Conv(size_t i, const Value& x) { return Convolve(i, 0, x); }

  Value ResBlock(size_t i, const Value& x) {
    const Module& module = generator_.modules_[i];
    const ModulePlan& plan = generator_.plan_.modules[i];
    const int64_t in = plan.in_channels, out = plan.out_channels;
    const int64_t style = module.style_offset;
    const Value normed = New(x.size, x.channels);
    Norm(x, Styles(style), Styles(style + in), kernels::Activation::kSilu,
         normed);
    RowPointers biases;
    for (size_t row = 0; row < rows_.size(); ++row) {
      biases[row] = module.step_biases.get() + rows_[row].t * out;
    }
    const Value h = Convolve(i, 0, Resample(plan.kind, normed), biases);
    Norm(h, Styles(style + 2 * in), Styles(style + 2 * in + out),
         kernels::Activation::kSilu, h);
    Value skip = Resample(plan.kind, x);
    if (module.convolutions.size() > 2) skip = Convolve(i, 2, skip);
    return AddInto(Convolve(i, 1, h), skip, kInverseSqrt2);
  }

  Value Attention(size_t i, const Value& x) {
    const Module& module = generator_.modules_[i];
    const int64_t pixels = x.size * x.size;
    const Value normed = New(x.size, x.channels);
    Norm(x, ForAllRows(module.norm_scale.get()),
         ForAllRows(module.norm_shift.get()), kernels::Activation::kNone,
         normed);
    const Value qkv = Convolve(i, 0, normed);
    const Workspace::Buffer scratch =
        workspace_.Take(kernels::AttentionScratch(count_, pixels, x.channels));
    kernels::Attend(qkv.data(), count_, pixels, x.channels, normed.data(),
                    scratch.data(), threads_);
    return AddInto(Convolve(i, 1, normed), x, kInverseSqrt2);
  }

  Value ConvDown(size_t i, const Value& x) {
    return Convolve(i, 0, Filter(kernels::FirKind::kSmooth, x));
  }
  Value Combine(size_t i, const Value& pyramid, const Value& h) {
    return AddInto(Convolve(i, 0, pyramid), h, 1);
  }
  Value NormSilu(size_t i, const Value& x) {
    const Module& module = generator_.modules_[i];
    Value y = New(x.size, x.channels);
    Norm(x, ForAllRows(module.norm_scale.get()),
         ForAllRows(module.norm_shift.get()), kernels::Activation::kSilu, y);
    return y;
  }
  Value Concatenate(const Value& a, const Value& b) {
    Value y = New(a.size, a.channels + b.channels);
    const int64_t pixels = a.size * a.size;
    threads_.Run(count_, pixels * y.channels / 8, [&](int64_t row) {
      kernels::Concatenate(a.data() + row * pixels * a.channels, a.channels,
                           b.data() + row * pixels * b.channels, b.channels,
                           pixels, y.data() + row * pixels * y.channels);
    });
    return y;
  }
  // `a` is fresh wherever the walk asks for these two.
  Value RescaledSum(const Value& a, const Value& b) {
    return AddInto(a, b, kInverseSqrt2);
  }
  Value Sum(const Value& a, const Value& b) { return AddInto(a, b, 1); }
  Value Upsample(const Value& x) { return Filter(kernels::FirKind::kUp, x); }
  Value Downsample(const Value& x) {
    return Filter(kernels::FirKind::kDown, x);
  }

 private:
  RowPointers Styles(int64_t offset) const {
    RowPointers pointers;
    for (size_t row = 0; row < rows_.size(); ++row) {
      pointers[row] =
          styles_ + static_cast<int64_t>(row) * generator_.styles_.out + offset;
    }
    return pointers;
  }

  Value Convolve(size_t i, size_t k, const Value& x) {
    return Convolve(
        i, k, x, ForAllRows(generator_.modules_[i].convolutions[k].bias.get()));
  }
  Value Convolve(size_t i, size_t k, const Value& x,
                 const RowPointers& biases) {
    const kernels::Convolution& convolution =
        generator_.modules_[i].convolutions[k].convolution;
    Value y = New(convolution.shape().out_size(), convolution.shape().out);
    const Workspace::Buffer scratch =
        workspace_.Take(generator_.scratch_count_);
    convolution.Run(x.data(), count_, biases.data(), y.data(), scratch.data(),
                    threads_);
    return y;
  }

  Value Filter(kernels::FirKind kind, const Value& x) {
    Value y = New(kernels::FirOutSize(kind, x.size), x.channels);
    kernels::Fir(
        kind, x.data(), count_, x.size, x.channels,
        kind == kernels::FirKind::kUp ? generator_.taps_up_ : generator_.taps_,
        y.data(), threads_);
    return y;
  }
  // To the resolution of a residual block of this kind.
  Value Resample(ModuleKind kind, const Value& x) {
    if (kind == ModuleKind::kResBlockDown) return Downsample(x);
    if (kind == ModuleKind::kResBlockUp) return Upsample(x);
    return x;
  }

  void Norm(const Value& x, const RowPointers& scales,
            const RowPointers& shifts, kernels::Activation activation,
            const Value& y) {
    kernels::GroupNorm(x.data(), count_, x.size * x.size, x.channels,
                       GroupNormGroups(static_cast<int>(x.channels)),
                       scales.data(), shifts.data(), activation, y.data(),
                       threads_);
  }

  // a = (a + b) * factor, where nothing else refers to a.
  Value AddInto(const Value& a, const Value& b, double factor) {
    const int64_t values = a.size * a.size * a.channels;
    threads_.Run(count_, values / 8, [&](int64_t row) {
      float* out = a.data() + row * values;
      kernels::AddScale(out, b.data() + row * values,
                        static_cast<float>(factor), values, out);
    });
    return a;
  }

  const CpuGenerator& generator_;
  const absl::Span<const GeneratorRow> rows_;
  const int64_t count_;
  const float* const styles_;
  Workspace& workspace_;
  kernels::ThreadPool& threads_;
};

// Scale and shift of every adaptive norm, a row per latent (spec 3.2).
Workspace::Buffer CpuGenerator::Styles(absl::Span<const GeneratorRow> rows,
                                       Workspace& workspace,
                                       kernels::ThreadPool& threads) const {
  const int64_t count = static_cast<int64_t>(rows.size());
  int64_t width = config_.nz;
  Workspace::Buffer h = workspace.Take(count * width);
  for (int64_t row = 0; row < count; ++row) {
    const float* z = rows[static_cast<size_t>(row)].z;
    double squares = 0;
    for (int64_t j = 0; j < width; ++j) {
      squares += static_cast<double>(z[j]) * static_cast<double>(z[j]);
    }
    const float factor = static_cast<float>(
        1.0 / std::sqrt(squares / static_cast<double>(width) + 1e-8));
    for (int64_t j = 0; j < width; ++j) {
      h.data()[row * width + j] = z[j] * factor;
    }
  }
  const auto apply = [&](const Linear& linear) {
    Workspace::Buffer y = workspace.Take(count * linear.out);
    const float* runs[kMaxRows];
    for (int64_t row = 0; row < count; ++row) {
      runs[row] = h.data() + row * linear.in;
    }
    const int64_t panels = kernels::PanelsOf(linear.out);
    threads.Run(panels, count * linear.in, [&](int64_t panel) {
      kernels::MultiplyRows(
          {.runs = runs, .rows = count, .taps = 1, .run = linear.in},
          linear.matrix(), panel, panel + 1, linear.bias.get(), 0, y.data(),
          linear.out);
    });
    return y;
  };
  for (const Linear& linear : latent_mapping_) {
    h = apply(linear);
    kernels::Silu(h.data(), count * linear.out);
  }
  return apply(styles_);
}

int64_t CpuGenerator::max_rows() const {
  const int64_t size = config_.image_size;
  // What is alive at once at the highest resolution: skips, and a block's own.
  const int64_t floats = size * size * config_.num_channels_dae *
                         config_.ch_mult.front() * (config_.num_res_blocks + 6);
  return std::clamp<int64_t>(kPassFloats / floats, 1, kMaxRows);
}

void CpuGenerator::Run(absl::Span<const GeneratorRow> rows,
                       Workspace& workspace,
                       kernels::ThreadPool& threads) const {
  const int64_t size = config_.image_size, channels = config_.num_channels;
  const int64_t pixels = size * size;
  const Workspace::Buffer styles = Styles(rows, workspace, threads);
  Modules modules(*this, rows, styles.data(), workspace, threads);
  const Modules::Value image = modules.New(size, channels);
  for (size_t row = 0; row < rows.size(); ++row) {
    kernels::FromPlanes(
        rows[row].x, pixels, channels,
        image.data() + static_cast<int64_t>(row) * pixels * channels);
  }
  const Modules::Value output = WalkGenerator(config_, plan_, image, modules);
  threads.Run(static_cast<int64_t>(rows.size()), pixels, [&](int64_t row) {
    kernels::TanhToPlanes(output.data() + row * pixels * channels, pixels,
                          channels, rows[static_cast<size_t>(row)].x0);
  });
}

}  // namespace ddgan
