// Gradients of convolutions: near the exact sums, and with the same bits on
// every instruction set.
#include "engine/kernels/convolution_gradient.h"

#include <gtest/gtest.h>
#include <hwy/targets.h>

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "tests/engine/kernels/every_target.h"

namespace ddgan::kernels {
namespace {

using Method = ConvolutionMethod;
using Floats = std::vector<float>;

// In a block of its own size, whose end a sanitizer watches.
FloatBuffer Exactly(const Floats& values) {
  FloatBuffer buffer = NewFloatBuffer(static_cast<int64_t>(values.size()));
  std::copy(values.begin(), values.end(), buffer.get());
  return buffer;
}

std::vector<double> ExactWeightGradient(const ConvolutionShape& shape,
                                        int64_t images, const Floats& x,
                                        const Floats& dy) {
  const int64_t size = shape.size, kernel = shape.kernel;
  std::vector<double> sums(
      static_cast<size_t>(shape.out * shape.in * kernel * kernel));
  for (int64_t p = 0; p < images * size * size; ++p) {
    const int64_t image = p / (size * size);
    for (int64_t tap = 0; tap < kernel * kernel; ++tap) {
      const int64_t row = p / size % size + tap / kernel - shape.padding;
      const int64_t column = p % size + tap % kernel - shape.padding;
      if (row < 0 || row >= size || column < 0 || column >= size) continue;
      const int64_t from = (image * size + row) * size + column;
      for (int64_t o = 0; o < shape.out; ++o) {
        for (int64_t i = 0; i < shape.in; ++i) {
          const int64_t at = (o * shape.in + i) * kernel * kernel + tap;
          sums[static_cast<size_t>(at)] +=
              static_cast<double>(dy[static_cast<size_t>(p * shape.out + o)]) *
              static_cast<double>(x[static_cast<size_t>(from * shape.in + i)]);
        }
      }
    }
  }
  return sums;
}

// Two parts of two images and of one.
Floats SumOfTwoParts(const ConvolutionShape& shape, Method method,
                     const Floats& x, const Floats& dy) {
  const WeightGradient gradient(shape, method);
  const int64_t pixels = shape.size * shape.size;
  const FloatBuffer images = Exactly(x), gradients = Exactly(dy);
  const FloatBuffer scratch = NewFloatBuffer(gradient.scratch_count());
  const FloatBuffer sums =
      Exactly(Floats(static_cast<size_t>(gradient.sums_count())));
  gradient.Add(images.get(), gradients.get(), 2, sums.get(), scratch.get());
  gradient.Add(images.get() + 2 * pixels * shape.in,
               gradients.get() + 2 * pixels * shape.out, 1, sums.get(),
               scratch.get());
  Floats result(
      static_cast<size_t>(shape.out * shape.in * shape.kernel * shape.kernel));
  const FloatBuffer written = Exactly(result);
  gradient.Finish(sums.get(), written.get());
  std::copy_n(written.get(), result.size(), result.begin());
  return result;
}

class ConvolutionGradient : public EveryTarget {};

TEST_P(ConvolutionGradient, ByWeightsIsNearTheExactSum) {
  const std::pair<ConvolutionShape, Method> cases[] = {
      {{.in = 1, .out = 1, .size = 1}, Method::kDirect},
      {{.in = 17, .out = 33, .size = 5}, Method::kDirect},
      {{.in = 16, .out = 1, .size = 6}, Method::kDirect},
      {{.in = 1, .out = 16, .size = 6}, Method::kDirect},
      {{.in = 20, .out = 40, .size = 3, .kernel = 1, .padding = 0},
       Method::kDirect},
      {{.in = 3, .out = 17, .size = 6}, Method::kWinograd2x2},
      {{.in = 16, .out = 32, .size = 8}, Method::kWinograd2x2},
      {{.in = 1, .out = 3, .size = 4}, Method::kWinograd4x4},
      {{.in = 18, .out = 17, .size = 12}, Method::kWinograd4x4},
      {{.in = 8, .out = 48, .size = 28}, Method::kWinograd4x4}};
  for (const auto& [shape, method] : cases) {
    const int64_t pixels = 3 * shape.size * shape.size;
    const Floats x = RandomFloats(pixels * shape.in, 1);
    const Floats dy = RandomFloats(pixels * shape.out, 2);
    const std::vector<double> wanted = ExactWeightGradient(shape, 3, x, dy);
    const Floats got = SumOfTwoParts(shape, method, x, dy);
    double largest = 0, difference = 0;
    for (size_t i = 0; i < wanted.size(); ++i) {
      largest = std::max(largest, std::abs(wanted[i]));
      difference = std::max(difference,
                            std::abs(static_cast<double>(got[i]) - wanted[i]));
    }
    EXPECT_LT(difference, 3e-5 * largest)
        << shape.in << " to " << shape.out << " at " << shape.size;
    hwy::SetSupportedTargetsForTest(HWY_SCALAR);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    EXPECT_EQ(SumOfTwoParts(shape, method, x, dy), got)
        << shape.in << " to " << shape.out << " at " << shape.size;
    SetUp();
  }
}

TEST_P(ConvolutionGradient, ByInputIsTheAdjointOfTheConvolution) {
  const std::pair<ConvolutionShape, Method> cases[] = {
      {{.in = 5, .out = 18, .size = 8}, Method::kWinograd4x4},
      {{.in = 19, .out = 3, .size = 6}, Method::kWinograd2x2},
      {{.in = 19, .out = 3, .size = 5}, Method::kDirect},
      {{.in = 4, .out = 7, .size = 3, .kernel = 1, .padding = 0},
       Method::kDirect}};
  for (const auto& [shape, method] : cases) {
    const int64_t pixels = shape.size * shape.size;
    const Floats weight =
        RandomFloats(shape.out * shape.in * shape.kernel * shape.kernel, 3);
    const Floats x = RandomFloats(pixels * shape.in, 4);
    const Floats dy = RandomFloats(pixels * shape.out, 5);
    const auto run = [&, method = method](const ConvolutionShape& of,
                                          const Filters& filters,
                                          const Floats& input) {
      const Convolution convolution(of, method, filters);
      const Floats zeros(static_cast<size_t>(of.out));
      const float* bias = zeros.data();
      Floats output(static_cast<size_t>(pixels * of.out));
      ThreadPool caller(1);
      const FloatBuffer scratch =
          NewFloatBuffer(convolution.scratch_count(caller.threads()));
      convolution.Run(input.data(), 1, &bias, output.data(), scratch.get(),
                      caller);
      return output;
    };
    const auto product = [](const Floats& a, const Floats& b) {
      double sum = 0;
      for (size_t i = 0; i < a.size(); ++i) {
        sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
      }
      return sum;
    };
    const Floats y = run(shape, FiltersOf(shape, weight.data()), x);
    const Floats dx =
        run(AdjointShape(shape), AdjointFilters(shape, weight.data()), dy);
    const double scale = std::sqrt(product(y, y) * product(dy, dy));
    EXPECT_NEAR(product(y, dy), product(x, dx), 1e-6 * scale)
        << shape.in << " to " << shape.out << " at " << shape.size;
  }
}

TEST_P(ConvolutionGradient, PixelsAreAddedToTheSumsOfTheirChannels) {
  for (const int64_t channels : {1, 16, 19}) {
    for (const int64_t pixels : {0, 1, 6, 64}) {
      const Floats x = RandomFloats(pixels * channels, 6);
      const FloatBuffer from = Exactly(x);
      const FloatBuffer sums =
          Exactly(Floats(static_cast<size_t>(channels), 1));
      AddPixels(from.get(), pixels, channels, sums.get());
      for (int64_t c = 0; c < channels; ++c) {
        double wanted = 1;
        for (int64_t p = 0; p < pixels; ++p) {
          wanted +=
              static_cast<double>(x[static_cast<size_t>(p * channels + c)]);
        }
        EXPECT_NEAR(sums[static_cast<size_t>(c)], wanted, 1e-5);
      }
    }
  }
}

DDGAN_ON_EVERY_TARGET(ConvolutionGradient);

}  // namespace
}  // namespace ddgan::kernels
