#include "engine/model/trained_convolution.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/autocast_mode.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <vector>

#include "engine/kernels/convolution.h"
#include "engine/kernels/convolution_gradient.h"
#include "engine/kernels/elementwise.h"
#include "engine/kernels/float_buffer.h"
#include "engine/kernels/thread_pool.h"

namespace ddgan {
namespace {

using kernels::ConvolutionMethod;
using kernels::ConvolutionShape;
using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

// Beyond it, as in*out, filters of small images take longer to transform than
// is saved.
constexpr int64_t kMostWeightsOfSmall = 128 * 128;
constexpr int64_t kSmall = 8;
// A batch's weight gradient is summed in parts, for the threads: at most so
// many, each of at least so many pixels. It decides the bytes of the sum, so it
// does not ask for the number of threads.
constexpr int64_t kMostParts = 8;
constexpr int64_t kLeastPixelsOfPart = 1024;

at::Tensor ChannelsLast(const at::Tensor& x) {
  return x.contiguous(at::MemoryFormat::ChannelsLast);
}

at::Tensor NewImages(const at::Tensor& like, int64_t channels) {
  return at::empty(
      {like.size(0), channels, like.size(2), like.size(3)},
      like.options().memory_format(at::MemoryFormat::ChannelsLast));
}

ConvolutionShape ShapeOf(int64_t in, int64_t out, int64_t size,
                         int64_t kernel) {
  return {.in = in,
          .out = out,
          .size = size,
          .kernel = static_cast<int>(kernel),
          .padding = static_cast<int>(kernel / 2)};
}

// By measurement (tests/benchmark/training_step_benchmark.cc): few inputs are
// not worth a transform of theirs.
ConvolutionMethod MethodOf(const ConvolutionShape& shape) {
  if (shape.kernel == 1 || shape.in < 8) return ConvolutionMethod::kDirect;
  if (shape.size % 4 == 0) return ConvolutionMethod::kWinograd4x4;
  if (shape.size % 2 == 0) return ConvolutionMethod::kWinograd2x2;
  return ConvolutionMethod::kDirect;
}

bool RunsOnKernels(const at::Tensor& x, const at::Tensor& weight) {
  return x.is_cpu() && x.scalar_type() == at::kFloat &&
         weight.scalar_type() == at::kFloat && x.dim() == 4 && x.size(0) > 0 &&
         x.size(2) == x.size(3) &&
         (weight.size(0) * weight.size(1) <= kMostWeightsOfSmall ||
          weight.size(2) == 1 || x.size(2) >= kSmall) &&
         !at::autocast::is_autocast_enabled(at::kCPU);
}

// Runs `images(first, count)` for all of a batch on LibTorch's threads, each
// with as many as there are to share.
template <typename Images>
void ForImages(int64_t batch, const Images& images) {
  const int64_t threads = at::get_num_threads();
  at::parallel_for(
      0, batch, (batch + threads - 1) / threads,
      [&](int64_t begin, int64_t end) { images(begin, end - begin); });
}

at::Tensor Convolved(const at::Tensor& images, const ConvolutionShape& shape,
                     const kernels::Filters& filters, const at::Tensor& bias) {
  const at::Tensor x = ChannelsLast(images);
  const at::Tensor y = NewImages(x, shape.out);
  const int64_t batch = x.size(0), pixels = shape.size * shape.size;
  const kernels::Convolution convolution(shape, MethodOf(shape), filters);
  const at::Tensor rows = bias.contiguous();
  std::vector<const float*> biases;
  for (int64_t b = 0; b < batch; ++b) {
    biases.push_back(rows.const_data_ptr<float>() +
                     (rows.dim() == 2 ? b * shape.out : 0));
  }
  const float* from = x.const_data_ptr<float>();
  float* to = y.mutable_data_ptr<float>();
  ForImages(batch, [&](int64_t first, int64_t count) {
    kernels::ThreadPool caller(1);
    const kernels::FloatBuffer scratch =
        kernels::NewFloatBuffer(convolution.scratch_count(caller.threads()));
    convolution.Run(from + first * pixels * shape.in, count,
                    biases.data() + first, to + first * pixels * shape.out,
                    scratch.get(), caller);
  });
  return y;
}

at::Tensor NoBias(const at::Tensor& x, int64_t channels) {
  return at::zeros({channels}, x.options());
}

at::Tensor Forward(const at::Tensor& x, const at::Tensor& weight,
                   const at::Tensor& bias) {
  const at::Tensor filters = weight.contiguous();
  const ConvolutionShape shape =
      ShapeOf(weight.size(1), weight.size(0), x.size(2), weight.size(2));
  return Convolved(x, shape,
                   kernels::FiltersOf(shape, filters.const_data_ptr<float>()),
                   bias);
}

at::Tensor InputGradient(const at::Tensor& dy, const at::Tensor& weight) {
  const at::Tensor filters = weight.contiguous();
  const ConvolutionShape shape =
      ShapeOf(weight.size(1), weight.size(0), dy.size(2), weight.size(2));
  return Convolved(
      dy, kernels::AdjointShape(shape),
      kernels::AdjointFilters(shape, filters.const_data_ptr<float>()),
      NoBias(dy, shape.in));
}

at::Tensor WeightGradient(const at::Tensor& images, const at::Tensor& gradients,
                          int64_t kernel) {
  const at::Tensor x = ChannelsLast(images), dy = ChannelsLast(gradients);
  const ConvolutionShape shape =
      ShapeOf(x.size(1), dy.size(1), x.size(2), kernel);
  const kernels::WeightGradient gradient(shape, MethodOf(shape));
  const int64_t batch = x.size(0), pixels = shape.size * shape.size;
  const int64_t parts = std::clamp<int64_t>(batch * pixels / kLeastPixelsOfPart,
                                            1, std::min(kMostParts, batch));
  const int64_t part_images = (batch + parts - 1) / parts;
  const at::Tensor sums =
      at::zeros({parts, gradient.sums_count()}, x.options());
  at::parallel_for(0, parts, 1, [&](int64_t begin, int64_t end) {
    const kernels::FloatBuffer scratch =
        kernels::NewFloatBuffer(gradient.scratch_count());
    for (int64_t part = begin; part < end; ++part) {
      const int64_t first = std::min(part * part_images, batch);
      gradient.Add(
          x.const_data_ptr<float>() + first * pixels * shape.in,
          dy.const_data_ptr<float>() + first * pixels * shape.out,
          std::min(part_images, batch - first),
          sums.mutable_data_ptr<float>() + part * gradient.sums_count(),
          scratch.get());
    }
  });
  float* const all = sums.mutable_data_ptr<float>();
  for (int64_t part = 1; part < parts; ++part) {
    kernels::AddScale(all, all + part * gradient.sums_count(), /*factor=*/1,
                      gradient.sums_count(), all);
  }
  const at::Tensor dweight =
      at::empty({shape.out, shape.in, kernel, kernel}, x.options());
  gradient.Finish(all, dweight.mutable_data_ptr<float>());
  return dweight;
}

// [B, O]: each image's sum over its pixels.
at::Tensor PixelSums(const at::Tensor& images) {
  const at::Tensor dy = ChannelsLast(images);
  const int64_t channels = dy.size(1), pixels = dy.size(2) * dy.size(3);
  const at::Tensor sums = at::zeros({dy.size(0), channels}, dy.options());
  ForImages(dy.size(0), [&](int64_t first, int64_t count) {
    for (int64_t b = first; b < first + count; ++b) {
      kernels::AddPixels(dy.const_data_ptr<float>() + b * pixels * channels,
                         pixels, channels,
                         sums.mutable_data_ptr<float>() + b * channels);
    }
  });
  return sums;
}

bool NeedsGradient(const at::Tensor& a, const at::Tensor& b) {
  return at::GradMode::is_enabled() && (a.requires_grad() || b.requires_grad());
}

// The convolution and both of its gradients are linear in each of their two
// arguments, and the gradients of each of the three are the other two.
at::Tensor DifferentiableForward(const at::Tensor& x, const at::Tensor& weight,
                                 const at::Tensor& bias);
at::Tensor DifferentiableInputGradient(const at::Tensor& dy,
                                       const at::Tensor& weight);
at::Tensor DifferentiableWeightGradient(const at::Tensor& x,
                                        const at::Tensor& dy, int64_t kernel);

class ForwardFunction : public Function<ForwardFunction> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x,
                            const at::Tensor& weight, const at::Tensor& bias) {
    context->save_for_backward({x, weight});
    context->saved_data["bias_dim"] = bias.dim();
    return Forward(x, weight, bias);
  }

  static variable_list backward(AutogradContext* context,
                                const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor dy = ChannelsLast(gradients[0]);
    variable_list result(3);
    if (context->needs_input_grad(0)) {
      result[0] = DifferentiableInputGradient(dy, saved[1]);
    }
    if (context->needs_input_grad(1)) {
      result[1] = DifferentiableWeightGradient(saved[0], dy, saved[1].size(2));
    }
    if (context->needs_input_grad(2)) {
      result[2] = NeedsGradient(dy, dy) ? dy.sum({2, 3}) : PixelSums(dy);
      if (context->saved_data["bias_dim"].toInt() == 1) {
        result[2] = result[2].sum(0);
      }
    }
    return result;
  }
};

class InputGradientFunction : public Function<InputGradientFunction> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& dy,
                            const at::Tensor& weight) {
    context->save_for_backward({dy, weight});
    return InputGradient(dy, weight);
  }

  static variable_list backward(AutogradContext* context,
                                const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    variable_list result(2);
    if (context->needs_input_grad(0)) {
      result[0] = DifferentiableForward(gradients[0], saved[1],
                                        NoBias(gradients[0], saved[1].size(0)));
    }
    if (context->needs_input_grad(1)) {
      result[1] = DifferentiableWeightGradient(gradients[0], saved[0],
                                               saved[1].size(2));
    }
    return result;
  }
};

class WeightGradientFunction : public Function<WeightGradientFunction> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x,
                            const at::Tensor& dy, int64_t kernel) {
    context->save_for_backward({x, dy});
    return WeightGradient(x, dy, kernel);
  }

  static variable_list backward(AutogradContext* context,
                                const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    variable_list result(3);
    if (context->needs_input_grad(0)) {
      result[0] = DifferentiableInputGradient(saved[1], gradients[0]);
    }
    if (context->needs_input_grad(1)) {
      result[1] = DifferentiableForward(saved[0], gradients[0],
                                        NoBias(saved[0], gradients[0].size(0)));
    }
    return result;
  }
};

at::Tensor DifferentiableForward(const at::Tensor& x, const at::Tensor& weight,
                                 const at::Tensor& bias) {
  // Here and not in the function, which would keep what has no history.
  const at::Tensor images = ChannelsLast(x);
  return NeedsGradient(images, weight) || NeedsGradient(bias, bias)
             ? ForwardFunction::apply(images, weight, bias)
             : Forward(images, weight, bias);
}

at::Tensor DifferentiableInputGradient(const at::Tensor& dy,
                                       const at::Tensor& weight) {
  return NeedsGradient(dy, weight) ? InputGradientFunction::apply(dy, weight)
                                   : InputGradient(dy, weight);
}

at::Tensor DifferentiableWeightGradient(const at::Tensor& x,
                                        const at::Tensor& dy, int64_t kernel) {
  return NeedsGradient(x, dy) ? WeightGradientFunction::apply(x, dy, kernel)
                              : WeightGradient(x, dy, kernel);
}

}  // namespace

at::Tensor SameConvolution(const at::Tensor& x, const at::Tensor& weight,
                           const at::Tensor& bias) {
  TORCH_CHECK(weight.dim() == 4 && x.dim() == 4 &&
                  x.size(1) == weight.size(1) &&
                  weight.size(2) == weight.size(3) &&
                  (weight.size(2) == 1 || weight.size(2) == 3),
              "a convolution of ", x.sizes(), " with ", weight.sizes());
  if (!RunsOnKernels(x, weight)) {
    const bool of_images = bias.defined() && bias.dim() == 2;
    const at::Tensor y =
        at::conv2d(x, weight, of_images ? at::Tensor() : bias, /*stride=*/1,
                   /*padding=*/weight.size(2) / 2);
    return of_images ? y + bias.unsqueeze(-1).unsqueeze(-1) : y;
  }
  return DifferentiableForward(
      x, weight, bias.defined() ? bias : NoBias(x, weight.size(0)));
}

}  // namespace ddgan
