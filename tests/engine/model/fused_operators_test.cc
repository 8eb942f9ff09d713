// The fused operators of a serving generator on every device, against plain
// ones in double.
#include "engine/model/fused_operators.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/group_norm.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/tensor.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <tuple>

#include "engine/base/cuda_devices.h"
#include "engine/model/generator_plan.h"
#include "tests/golden/fixture.h"

namespace ddgan {
namespace {

using golden::MaxAbsDifference;

class FusedOperatorsTest
    : public testing::TestWithParam<std::tuple<const char*, at::ScalarType>> {
 protected:
  void SetUp() override {
    if (Device().is_cuda() && CudaDeviceCount() == 0) GTEST_SKIP() << "no GPU";
  }

  static c10::Device Device() { return c10::Device(std::get<0>(GetParam())); }
  static at::ScalarType Dtype() { return std::get<1>(GetParam()); }
  // Of a value of about `size`.
  static double Rounding(double size) {
    return std::max(size, 1.0) * (Dtype() == at::kFloat ? 1e-5 : 2e-2);
  }

  // Rounded to the dtype, so that the device and double see the same values.
  static at::Tensor Random(at::IntArrayRef shape) {
    return at::randn(shape).to(Dtype());
  }
  static at::Tensor OnDevice(const at::Tensor& tensor) {
    return tensor.dim() == 4
               ? tensor.to(Device()).contiguous(at::MemoryFormat::ChannelsLast)
               : tensor.to(Device());
  }

  struct NormCase {
    at::Tensor x;
    at::Tensor table;  // Undefined: no biases.
    at::Tensor t;
    at::Tensor scale;
    at::Tensor shift;
    NormActivation activation = NormActivation::kSilu;
  };

  static at::Tensor Fused(const NormCase& c) {
    StepBiases biases;
    if (c.table.defined()) biases = {OnDevice(c.table), OnDevice(c.t)};
    return BiasedGroupNormAct(
               OnDevice(c.x), c.table.defined() ? &biases : nullptr,
               OnDevice(c.scale), OnDevice(c.shift), c.activation)
        .cpu();
  }

  static at::Tensor Exact(const NormCase& c) {
    at::Tensor x = c.x.to(at::kDouble);
    const auto on_images = [](const at::Tensor& channels) {
      return channels.to(at::kDouble)
          .view({channels.dim() == 2 ? channels.size(0) : 1, -1, 1, 1});
    };
    if (c.table.defined()) x = x + on_images(c.table.index_select(0, c.t));
    const at::Tensor y =
        at::group_norm(x, GroupNormGroups(static_cast<int>(x.size(1))), {}, {},
                       1e-6) *
            on_images(c.scale) +
        on_images(c.shift);
    return c.activation == NormActivation::kSilu ? at::silu(y) : y;
  }

  static void ExpectExact(const NormCase& c, const std::string& what) {
    const at::Tensor expected = Exact(c);
    EXPECT_LT(MaxAbsDifference(Fused(c), expected),
              Rounding(expected.abs().max().item<double>()))
        << what;
  }
};

TEST_P(FusedOperatorsTest, GroupNormEqualsPlainDouble) {
  const c10::NoGradGuard no_grad;
  // Widths of every vector form, one of more vectors than threads, and images
  // that fit into one block of threads, into one chunk, and into neither.
  for (const int64_t channels : {4, 12, 40, 160, 256, 1056}) {
    for (const int64_t height : {1, 6, 48, 700}) {
      NormCase c;
      c.x = Random({3, channels, height, 7});
      c.scale = Random({3, channels});
      c.shift = Random({3, channels});
      const std::string what =
          std::to_string(channels) + " x " + std::to_string(height);
      ExpectExact(c, what);
      c.activation = NormActivation::kNone;
      ExpectExact(c, what + " without SiLU");
      c.scale = c.scale.select(0, 1);
      c.shift = c.shift.select(0, 2);
      ExpectExact(c, what + " affine");
    }
  }
}

TEST_P(FusedOperatorsTest, StepBiasesAndStylesMayBePartsOfLongerRows) {
  const c10::NoGradGuard no_grad;
  for (const int64_t channels : {12, 64}) {
    const at::Tensor table = at::randn({4, 3 * channels});
    const at::Tensor styles = Random({3, 5 * channels});
    NormCase c;
    c.x = Random({3, channels, 8, 6});
    c.table = table.narrow(1, channels, channels);
    c.t = at::tensor({2, 0, 3}, at::kLong);
    c.scale = styles.narrow(1, 0, channels);
    c.shift = styles.narrow(1, 3 * channels, channels);
    // What the row of the device's tensor is part of travels, too.
    const StepBiases biases = {table.to(Device()).narrow(1, channels, channels),
                               c.t.to(Device())};
    const at::Tensor on_device = styles.to(Device());
    const at::Tensor actual =
        BiasedGroupNormAct(
            OnDevice(c.x), &biases, on_device.narrow(1, 0, channels),
            on_device.narrow(1, 3 * channels, channels), NormActivation::kSilu)
            .cpu();
    const at::Tensor expected = Exact(c);
    EXPECT_LT(MaxAbsDifference(actual, expected),
              Rounding(expected.abs().max().item<double>()))
        << channels;
  }
}

TEST_P(FusedOperatorsTest, AMeanThatIsLargeCostsNoDigits) {
  if (Dtype() != at::kFloat) GTEST_SKIP() << "bfloat16 cannot hold the values";
  const c10::NoGradGuard no_grad;
  NormCase c;
  c.x = at::randn({2, 64, 32, 32}) + 1000;
  c.scale = at::randn({2, 64});
  c.shift = at::randn({2, 64});
  const at::Tensor expected = Exact(c);
  // A value of 1000 is known to 6e-5 only. The CPU's norm sums squares.
  const double rounding = Device().is_cuda() ? 1e-4 : 0.2;
  EXPECT_LT(MaxAbsDifference(Fused(c), expected),
            rounding * expected.abs().max().item<double>());
}

TEST_P(FusedOperatorsTest, BytesOfAnImageDoNotDependOnTheBatch) {
  if (!Device().is_cuda()) GTEST_SKIP() << "LibTorch's kernels";
  const c10::NoGradGuard no_grad;
  for (const int64_t channels : {12, 128}) {
    NormCase all;
    all.x = Random({9, channels, 32, 32});
    all.scale = Random({9, channels});
    all.shift = Random({9, channels});
    const at::Tensor together = Fused(all);
    for (int64_t image = 0; image < 9; ++image) {
      NormCase one = all;
      one.x = all.x.narrow(0, image, 1);
      one.scale = all.scale.narrow(0, image, 1);
      one.shift = all.shift.narrow(0, image, 1);
      EXPECT_TRUE(at::equal(Fused(one), together.narrow(0, image, 1)))
          << image << " of " << channels << " channels";
    }
  }
}

TEST_P(FusedOperatorsTest, BiasesAreAdded) {
  const c10::NoGradGuard no_grad;
  for (const int64_t channels : {3, 12, 64}) {
    const at::Tensor x = Random({3, channels, 5, 7});
    const at::Tensor other = Random({3, channels, 5, 7});
    const at::Tensor bias = at::randn({channels});
    const at::Tensor wide_bias = bias.to(at::kDouble).view({1, -1, 1, 1});
    const at::Tensor sum = x.to(at::kDouble) + wide_bias;
    EXPECT_LT(
        MaxAbsDifference(
            AddBiasInto(OnDevice(x.clone()), {}, bias.to(Device()), 1).cpu(),
            sum),
        Rounding(4))
        << channels;
    EXPECT_LT(MaxAbsDifference(AddBiasInto(OnDevice(x.clone()), OnDevice(other),
                                           bias.to(Device()), 0.7)
                                   .cpu(),
                               (sum + other.to(at::kDouble)) * 0.7),
              Rounding(4))
        << channels;
  }
}

std::string DtypeName(
    const testing::TestParamInfo<FusedOperatorsTest::ParamType>& info) {
  return std::get<1>(info.param) == at::kFloat ? "float32" : "bfloat16";
}

const auto kDtypes = testing::Values(at::kFloat, at::kBFloat16);
INSTANTIATE_TEST_SUITE_P(Cpu, FusedOperatorsTest,
                         testing::Combine(testing::Values("cpu"), kDtypes),
                         DtypeName);
INSTANTIATE_TEST_SUITE_P(Cuda, FusedOperatorsTest,
                         testing::Combine(testing::Values("cuda:0"), kDtypes),
                         DtypeName);

}  // namespace
}  // namespace ddgan
