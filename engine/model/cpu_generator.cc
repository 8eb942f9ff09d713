#include "engine/model/cpu_generator.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <utility>

#include "engine/kernels/attention.h"
#include "engine/kernels/elementwise.h"
#include "engine/kernels/group_norm.h"
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

// One pointer per image of a pass.
using RowPointers = std::array<const float*, kMaxRows>;

RowPointers ForAllRows(const float* values) {
  RowPointers pointers;
  pointers.fill(values);
  return pointers;
}

}  // namespace

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
        threads_(threads) {
    for (const Module& module : generator.modules_) {
      for (const ConvolutionWithBias& conv : module.convolutions) {
        scratch_count_ = std::max(
            scratch_count_, conv.convolution.scratch_count(threads.threads()));
      }
    }
  }

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
    const Workspace::Buffer scratch = workspace_.Take(scratch_count_);
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
    const Workspace::Buffer scratch = workspace_.Take(2 * count_ * x.channels);
    kernels::GroupNorm(x.data(), count_, x.size * x.size, x.channels,
                       GroupNormGroups(static_cast<int>(x.channels)),
                       scales.data(), shifts.data(), activation, y.data(),
                       scratch.data(), threads_);
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
  int64_t scratch_count_ = 0;  // Of the convolutions.
};

// Scale and shift of every adaptive norm, a row per latent (MODEL.md 3.1).
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
    // By the pool, whose threads all take subnormal numbers for zero.
    threads.Run(count, linear.out, [&](int64_t row) {
      kernels::Silu(h.data() + row * linear.out, linear.out);
    });
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
