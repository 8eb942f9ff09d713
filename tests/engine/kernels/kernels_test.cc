// Every kernel against plain loops, bit for bit, on every instruction set, with
// several numbers of threads and shapes that fill no vector.
#include <cmath>
#include <cstdint>
#include <cstring>
#include <tuple>
#include <vector>

#include "engine/kernels/attention.h"
#include "engine/kernels/convolution.h"
#include "engine/kernels/elementwise.h"
#include "engine/kernels/fir.h"
#include "engine/kernels/group_norm.h"
#include "engine/kernels/matrix_product.h"
#include "every_target.h"
#include "scalar_reference.h"

namespace ddgan::kernels {
namespace {

using reference::Floats;

// Equal bits; says where they are not.
testing::AssertionResult SameBits(const float* got, const Floats& wanted) {
  for (size_t i = 0; i < wanted.size(); ++i) {
    if (std::memcmp(got + i, &wanted[i], sizeof(float)) != 0) {
      return testing::AssertionFailure()
             << "value " << i << " of " << wanted.size() << " is " << got[i]
             << ", not " << wanted[i];
    }
  }
  return testing::AssertionSuccess();
}

// Memory of exactly this size, so that AddressSanitizer sees what lies beyond.
FloatBuffer Exactly(const Floats& values) {
  FloatBuffer copy(static_cast<float*>(
      std::malloc(std::max<size_t>(values.size(), 1) * sizeof(float))));
  std::copy(values.begin(), values.end(), copy.get());
  return copy;
}

class Kernels : public EveryTarget {};

TEST_P(Kernels, MultiplyRowsIsOneChainPerOutput) {
  for (const auto& [rows, depth, columns] :
       {std::tuple<int64_t, int64_t, int64_t>{1, 1, 1},
        {3, 5, 7},
        {8, 16, 16},
        {13, 9, 33},
        {16, 3, 48},
        {21, 40, 50}}) {
    const Floats a = RandomFloats(rows * depth, 1);
    const Floats b = RandomFloats(depth * columns, 2);
    const Floats start = RandomFloats(columns, 3);
    FloatBuffer packed = NewFloatBuffer(PackedSize(depth, columns));
    PackMatrix(b.data(), depth, columns, columns, 1, packed.get());
    const FloatBuffer left = Exactly(a), bias = Exactly(start);
    std::vector<const float*> runs;
    for (int64_t i = 0; i < rows; ++i) runs.push_back(left.get() + i * depth);
    const LeftRows left_rows = {runs.data(), rows, 1, depth};
    const PackedMatrix right = {packed.get(), depth, columns};
    const FloatBuffer c = Exactly(Floats(a.size() / depth * columns));
    MultiplyRows(left_rows, right, 0, PanelsOf(columns), bias.get(), 0, c.get(),
                 columns);
    const Floats wanted =
        reference::Multiply(a, b, static_cast<size_t>(depth), start);
    EXPECT_TRUE(SameBits(c.get(), wanted)) << rows << ' ' << depth;
    // One panel at a time, and the same chains from 0.
    for (int64_t panel = 0; panel < PanelsOf(columns); ++panel) {
      MultiplyRows(left_rows, right, panel, panel + 1, nullptr, 0, c.get(),
                   columns);
    }
    EXPECT_TRUE(
        SameBits(c.get(), reference::Multiply(a, b, static_cast<size_t>(depth),
                                              Floats(start.size()))));
  }
}

TEST_P(Kernels, ConvolutionsAreTheReferences) {
  struct Case {
    ConvolutionShape shape;
    ConvolutionMethod method;
  };
  using Method = ConvolutionMethod;
  const Case cases[] = {
      {{.in = 3, .out = 5, .size = 5}, Method::kDirect},
      {{.in = 1, .out = 1, .size = 1}, Method::kDirect},
      {{.in = 2, .out = 3, .size = 1}, Method::kDirect},
      {{.in = 3, .out = 18, .size = 1, .kernel = 1, .padding = 0},
       Method::kDirect},
      {{.in = 1, .out = 2, .size = 3, .stride = 2, .padding = 0},
       Method::kDirect},
      {{.in = 1, .out = 1, .size = 2}, Method::kWinograd2x2},
      {{.in = 1, .out = 3, .size = 4}, Method::kWinograd4x4},
      {{.in = 17, .out = 33, .size = 9}, Method::kDirect},
      {{.in = 17, .out = 4, .size = 19}, Method::kDirect},
      {{.in = 5, .out = 1, .size = 16}, Method::kDirect},
      {{.in = 2, .out = 19, .size = 9, .stride = 2, .padding = 0},
       Method::kDirect},
      {{.in = 20, .out = 40, .size = 6, .kernel = 1, .padding = 0},
       Method::kDirect},
      {{.in = 3, .out = 17, .size = 6}, Method::kWinograd2x2},
      {{.in = 16, .out = 32, .size = 8}, Method::kWinograd2x2},
      {{.in = 3, .out = 5, .size = 8}, Method::kWinograd4x4},
      {{.in = 18, .out = 17, .size = 12}, Method::kWinograd4x4},
      // All threads on one chunk, because of its many weights.
      {{.in = 96, .out = 80, .size = 8}, Method::kWinograd4x4},
      {{.in = 8, .out = 8, .size = 36}, Method::kWinograd4x4}};
  for (const auto& [shape, method] : cases) {
    const int64_t images = 3;
    const int64_t in_values = shape.size * shape.size * shape.in;
    const int64_t out_values = shape.out_size() * shape.out_size() * shape.out;
    const Floats weight =
        RandomFloats(shape.out * shape.in * shape.kernel * shape.kernel, 4);
    const FloatBuffer x = Exactly(RandomFloats(images * in_values, 5));
    const FloatBuffer biases = Exactly(RandomFloats(images * shape.out, 6));
    const Convolution convolution(shape, method,
                                  FiltersOf(shape, weight.data()));
    EXPECT_EQ(convolution.weight_count(), PackedWeights(shape, method));
    Floats wanted;
    std::vector<const float*> bias;
    for (int64_t i = 0; i < images; ++i) {
      bias.push_back(biases.get() + i * shape.out);
      const float* image = x.get() + i * in_values;
      const Floats one =
          method == Method::kDirect
              ? reference::DirectConvolution(shape, weight.data(), image,
                                             bias.back())
              : reference::WinogradConvolution(
                    shape, method == Method::kWinograd2x2 ? 2 : 4,
                    weight.data(), image, bias.back());
      wanted.insert(wanted.end(), one.begin(), one.end());
    }
    for (const int threads : {1, 3}) {
      ThreadPool pool(threads, /*least_work=*/0);
      const FloatBuffer scratch =
          NewFloatBuffer(convolution.scratch_count(threads));
      const FloatBuffer y =
          Exactly(Floats(static_cast<size_t>(images * out_values), NAN));
      convolution.Run(x.get(), images, bias.data(), y.get(), scratch.get(),
                      pool);
      EXPECT_TRUE(SameBits(y.get(), wanted))
          << shape.in << " to " << shape.out << " at " << shape.size;
    }
  }
}

TEST_P(Kernels, GroupNormIsTheReferences) {
  for (const auto& [pixels, channels, groups] :
       {std::tuple<int64_t, int64_t, int64_t>{1, 4, 1},
        {25, 12, 3},
        {64, 16, 4},
        {17, 96, 32},
        {9, 384, 32},
        {4, 1024, 32}}) {
    const int64_t images = 2;
    const FloatBuffer x = Exactly(RandomFloats(images * pixels * channels, 7));
    const FloatBuffer scale = Exactly(RandomFloats(images * channels, 8));
    const FloatBuffer shift = Exactly(RandomFloats(images * channels, 9));
    const float* scales[] = {scale.get(), scale.get() + channels};
    const float* shifts[] = {shift.get(), shift.get() + channels};
    for (const Activation activation : {Activation::kNone, Activation::kSilu}) {
      Floats wanted;
      for (int64_t i = 0; i < images; ++i) {
        const Floats one = reference::GroupNorm(
            x.get() + i * pixels * channels, pixels, channels, groups,
            scales[i], shifts[i], activation == Activation::kSilu);
        wanted.insert(wanted.end(), one.begin(), one.end());
      }
      // Few threads take whole blocks, many take parts of one.
      for (const int threads : {1, 3, 5}) {
        ThreadPool pool(threads, /*least_work=*/0);
        const FloatBuffer y = Exactly(Floats(wanted.size(), NAN));
        const FloatBuffer scratch =
            Exactly(Floats(static_cast<size_t>(images * 2 * channels)));
        GroupNorm(x.get(), images, pixels, channels, groups, scales, shifts,
                  activation, y.get(), scratch.get(), pool);
        EXPECT_TRUE(SameBits(y.get(), wanted)) << channels;
      }
    }
  }
}

TEST_P(Kernels, FirIsTheReferences) {
  // Not symmetric: an exchange of taps would show.
  const Taps taps = {0.1f, 0.2f, 0.4f, 0.3f};
  for (const FirKind kind : {FirKind::kDown, FirKind::kUp, FirKind::kSmooth}) {
    for (const auto& [channels, size] :
         {std::tuple<int64_t, int64_t>{1, 6}, {3, 2}, {16, 12}, {35, 6}}) {
      const int64_t images = 2, values = size * size * channels;
      const FloatBuffer x = Exactly(RandomFloats(images * values, 10));
      Floats wanted;
      for (int64_t i = 0; i < images; ++i) {
        const Floats one =
            reference::Fir(kind, x.get() + i * values, size, channels, taps);
        wanted.insert(wanted.end(), one.begin(), one.end());
      }
      ThreadPool pool(2, /*least_work=*/0);
      const FloatBuffer y = Exactly(Floats(wanted.size(), NAN));
      Fir(kind, x.get(), images, size, channels, taps, y.get(), pool);
      EXPECT_TRUE(SameBits(y.get(), wanted)) << channels;
    }
  }
}

TEST_P(Kernels, AttentionIsTheReferences) {
  for (const auto& [pixels, channels] :
       {std::tuple<int64_t, int64_t>{1, 4}, {9, 12}, {64, 32}, {50, 33}}) {
    const int64_t images = 2, values = pixels * 3 * channels;
    const FloatBuffer x = Exactly(RandomFloats(images * values, 11));
    Floats wanted;
    for (int64_t i = 0; i < images; ++i) {
      const Floats one =
          reference::Attend(x.get() + i * values, pixels, channels);
      wanted.insert(wanted.end(), one.begin(), one.end());
    }
    ThreadPool pool(2, /*least_work=*/0);
    const FloatBuffer scratch =
        NewFloatBuffer(AttentionScratch(images, pixels, channels));
    const FloatBuffer y = Exactly(Floats(wanted.size(), NAN));
    Attend(x.get(), images, pixels, channels, y.get(), scratch.get(), pool);
    EXPECT_TRUE(SameBits(y.get(), wanted)) << pixels;
  }
}

TEST_P(Kernels, ElementwiseAndPlanes) {
  const Floats a = RandomFloats(35, 12), b = RandomFloats(35, 13);
  Floats y(35), wanted;
  AddScale(a.data(), b.data(), 0.7f, 35, y.data());
  for (size_t i = 0; i < a.size(); ++i) wanted.push_back((a[i] + b[i]) * 0.7f);
  EXPECT_TRUE(SameBits(y.data(), wanted));
  // [7 pixels, 5 channels] and back.
  FromPlanes(a.data(), 7, 5, y.data());
  EXPECT_EQ(y[1 * 5 + 2], a[2 * 7 + 1]);
  Floats planes(35);
  TanhToPlanes(y.data(), 7, 5, planes.data());
  Floats tanh(35);
  Apply(VectorFunction::kTanh, a.data(), 35, tanh.data());
  EXPECT_TRUE(SameBits(planes.data(), tanh));
  Floats joined(7 * 7);
  Concatenate(a.data(), 5, b.data(), 2, 7, joined.data());
  EXPECT_EQ(joined[3 * 7 + 4], a[3 * 5 + 4]);
  EXPECT_EQ(joined[3 * 7 + 6], b[3 * 2 + 1]);
  Floats silu = a;
  Silu(silu.data(), 35);
  wanted.clear();
  for (const float value : a) {
    wanted.push_back(value * reference::Sigmoid(value));
  }
  EXPECT_TRUE(SameBits(silu.data(), wanted));
  Floats limits = {100, INFINITY, -100, NAN};
  Silu(limits.data(), 4);
  EXPECT_EQ(limits[0], 100);
  EXPECT_EQ(limits[1], INFINITY);
  EXPECT_NEAR(limits[2], 0, 1e-35);
  EXPECT_TRUE(std::isnan(limits[3]));
}

TEST_P(Kernels, ApplyUpdateIsOneChainPerValue) {
  for (const int64_t count : {1, 7, 16, 35}) {
    const size_t size = static_cast<size_t>(count);
    const FloatBuffer x = Exactly(RandomFloats(count, 14));
    const FloatBuffer noise = Exactly(RandomFloats(count, 15));
    const Floats x0 = RandomFloats(count, 16);
    for (const float factor : {0.0f, 0.3f}) {
      const LinearUpdate update = {.x0 = 0.7f, .x = -0.2f, .noise = factor};
      Floats wanted;
      for (size_t i = 0; i < size; ++i) {
        float y = std::fma(x[i], update.x, x0[i] * update.x0);
        if (factor != 0) y = std::fma(noise[i], factor, y);
        wanted.push_back(y);
      }
      const FloatBuffer y = Exactly(x0);
      EXPECT_TRUE(ApplyUpdate(update, x.get(),
                              factor == 0 ? nullptr : noise.get(), count,
                              y.get()));
      EXPECT_TRUE(SameBits(y.get(), wanted)) << count << ' ' << factor;
    }
    // Every place is looked at.
    for (size_t i = 0; i < size; ++i) {
      for (const float bad : {NAN, INFINITY, -INFINITY}) {
        const FloatBuffer y = Exactly(x0);
        y[i] = bad;
        EXPECT_FALSE(ApplyUpdate({.x0 = 1, .x = 0, .noise = 0}, x.get(),
                                 nullptr, count, y.get()))
            << bad << " at " << i;
      }
    }
  }
}

TEST_P(Kernels, DiffuseIsOneChainPerValue) {
  for (const int64_t count : {1, 7, 16, 35}) {
    const FloatBuffer x = Exactly(RandomFloats(count, 17));
    const Floats noise = RandomFloats(count, 18);
    Floats wanted;
    for (size_t i = 0; i < noise.size(); ++i) {
      wanted.push_back(std::fma(x[i], 0.8f, noise[i] * 0.6f));
    }
    const FloatBuffer y = Exactly(noise);
    Diffuse(0.8f, x.get(), 0.6f, count, y.get());
    EXPECT_TRUE(SameBits(y.get(), wanted)) << count;
  }
}

TEST_P(Kernels, SquaredSumsAreOneChainInDouble) {
  for (const int64_t count : {1, 7, 16, 35}) {
    const FloatBuffer x = Exactly(RandomFloats(count, 19));
    const FloatBuffer y = Exactly(RandomFloats(count, 20));
    double norm = 0, distance = 0;
    for (int64_t i = 0; i < count; ++i) {
      const double value = static_cast<double>(x[i]);
      norm += value * value;
      const float difference = x[i] - 0.9f * y[i];
      distance +=
          static_cast<double>(difference) * static_cast<double>(difference);
    }
    EXPECT_EQ(SquaredNorm(x.get(), count), norm);
    EXPECT_EQ(SquaredDistance(x.get(), 0.9f, y.get(), count), distance);
  }
}

DDGAN_ON_EVERY_TARGET(Kernels);

TEST(ChooseMethods, SpendsWeightsWhereTheySaveMost) {
  using Method = ConvolutionMethod;
  const ConvolutionShape large = {.in = 128, .out = 128, .size = 32};
  const ConvolutionShape middle = {.in = 256, .out = 256, .size = 16};
  const ConvolutionShape small = {.in = 256, .out = 256, .size = 8};
  const ConvolutionShape point = {
      .in = 256, .out = 256, .size = 16, .kernel = 1, .padding = 0};
  const ConvolutionShape odd = {.in = 128, .out = 128, .size = 31};
  const std::vector<ConvolutionShape> shapes = {small, point, large, odd,
                                                middle};
  int64_t direct = 0;
  for (const ConvolutionShape& shape : shapes) {
    direct += PackedWeights(shape, Method::kDirect);
  }
  const auto choose = [&](int64_t extra) {
    return ChooseMethods(shapes, direct + extra);
  };
  const std::vector<Method> none(5, Method::kDirect);
  EXPECT_EQ(choose(0), none);
  EXPECT_EQ(choose(-1), none);  // Nothing smaller is to be had.
  EXPECT_EQ(choose(7 * 128 * 128)[2], Method::kWinograd2x2);
  EXPECT_EQ(choose(int64_t{1} << 40),
            (std::vector<Method>{Method::kDirect, Method::kDirect,
                                 Method::kWinograd4x4, Method::kDirect,
                                 Method::kWinograd4x4}));
  // 2x2 of the middle layer saves more per weight than 4x4 of the large one.
  EXPECT_EQ(choose(7 * 128 * 128 + 7 * 256 * 256),
            (std::vector<Method>{Method::kDirect, Method::kDirect,
                                 Method::kWinograd2x2, Method::kDirect,
                                 Method::kWinograd2x2}));
}

}  // namespace
}  // namespace ddgan::kernels
