// FIR resampling and group normalisation against the reference's values, and
// the fused kernels against LibTorch's operators.
#include "engine/model/operators.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/randn.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "engine/base/cuda_devices.h"
#include "engine/model/latent_mapping.h"
#include "engine/model/time_embedding.h"
#include "tests/golden/fixture.h"

namespace ddgan {
namespace {

using golden::Fixture;
using golden::MaxAbsDifference;

class OperatorsTest : public testing::Test {
 protected:
  const Fixture ops_{"ops"};
  const FirKernel fir_{{1, 3, 3, 1}};
  const FirKernel asymmetric_{{1, 2, 3, 4}};
};

TEST_F(OperatorsTest, FirMatchesReference) {
  const at::Tensor& x = ops_["fir.x"];
  EXPECT_LT(MaxAbsDifference(FirUpsample(x, fir_), ops_["fir.up"]), 1e-6);
  EXPECT_LT(MaxAbsDifference(FirDownsample(x, fir_), ops_["fir.down"]), 1e-6);
}

TEST_F(OperatorsTest, FirFlipsAnAsymmetricKernelAsTheReferenceDoes) {
  const at::Tensor& x = ops_["fir.x"];
  EXPECT_LT(MaxAbsDifference(FirUpsample(x, asymmetric_), ops_["fir.up_asym"]),
            1e-6);
  EXPECT_LT(
      MaxAbsDifference(FirDownsample(x, asymmetric_), ops_["fir.down_asym"]),
      1e-6);
}

TEST_F(OperatorsTest, FirTakesOddSizes) {
  const at::Tensor& x = ops_["fir.x_odd"];
  EXPECT_LT(MaxAbsDifference(FirUpsample(x, fir_), ops_["fir.up_odd"]), 1e-6);
  EXPECT_LT(MaxAbsDifference(FirDownsample(x, fir_), ops_["fir.down_odd"]),
            1e-6);
}

TEST_F(OperatorsTest, ConvDownMatchesReference) {
  const at::Tensor y =
      at::conv2d(FirSmooth(ops_["convdown.x"], fir_), ops_["convdown.weight"],
                 ops_["convdown.bias"], /*stride=*/2);
  EXPECT_LT(MaxAbsDifference(y, ops_["convdown.out"]), 2e-6);
}

TEST_F(OperatorsTest, AdaptiveGroupNormMatchesReference) {
  for (const char* name : {"adagn", "adagn160"}) {
    const std::string prefix = std::string(name) + ".";
    const auto style =
        at::linear(ops_[prefix + "style"], ops_[prefix + "sd.style.weight"],
                   ops_[prefix + "sd.style.bias"])
            .chunk(2, 1);
    EXPECT_LT(MaxAbsDifference(GroupNormAct(ops_[prefix + "x"], style[0],
                                            style[1], NormActivation::kNone),
                               ops_[prefix + "out"]),
              2e-5)
        << name;
  }
}

TEST_F(OperatorsTest, TimeEmbeddingMatchesReference) {
  const at::Tensor t = at::arange(8, at::kLong);
  for (int width : {16, 32, 128, 256}) {
    EXPECT_LT(MaxAbsDifference(SinusoidalEmbedding(t, width),
                               ops_["temb.dim" + std::to_string(width)]),
              2e-6)
        << width;
  }
}

// The fused float kernels against LibTorch's operators in double, values and
// gradients.
struct Case {
  const char* name;
  at::Tensor (*run)(const at::Tensor& x, const at::Tensor& scale,
                    const at::Tensor& shift);
};

class KernelEquivalenceTest : public testing::TestWithParam<Case> {};

TEST_P(KernelEquivalenceTest, FusedFloatEqualsPlainDouble) {
  for (const int64_t channels : {4, 12, 40, 160}) {
    at::Tensor x = at::randn({3, channels, 8, 6}) + 2;
    at::Tensor scale = at::randn({3, channels}),
               shift = at::randn({3, channels});
    at::Tensor wide_x = x.to(at::kDouble), wide_scale = scale.to(at::kDouble),
               wide_shift = shift.to(at::kDouble);
    for (at::Tensor* leaf :
         {&x, &scale, &shift, &wide_x, &wide_scale, &wide_shift}) {
      leaf->set_requires_grad(true);
    }
    const at::Tensor y = GetParam().run(x, scale, shift);
    const at::Tensor wide_y = GetParam().run(wide_x, wide_scale, wide_shift);
    EXPECT_LT(MaxAbsDifference(y, wide_y), 2e-5) << channels;
    const at::Tensor w = at::randn(y.sizes());
    torch::autograd::backward({(y * w).sum()});
    torch::autograd::backward({(wide_y * w.to(at::kDouble)).sum()});
    EXPECT_LT(MaxAbsDifference(x.grad(), wide_x.grad()), 2e-5) << channels;
    if (scale.grad().defined()) {
      EXPECT_LT(MaxAbsDifference(scale.grad(), wide_scale.grad()), 2e-4);
      EXPECT_LT(MaxAbsDifference(shift.grad(), wide_shift.grad()), 2e-4);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Operators, KernelEquivalenceTest,
    testing::Values(
        Case{"Norm",
             [](const at::Tensor& x, const at::Tensor& a, const at::Tensor& b) {
               return GroupNormAct(x, a, b, NormActivation::kNone);
             }},
        Case{"NormSilu",
             [](const at::Tensor& x, const at::Tensor& a, const at::Tensor& b) {
               return GroupNormAct(x, a, b, NormActivation::kSilu);
             }},
        Case{"NormAffine",
             [](const at::Tensor& x, const at::Tensor& a, const at::Tensor& b) {
               return GroupNormAct(x, a.select(0, 0), b.select(0, 0),
                                   NormActivation::kSilu);
             }},
        Case{"Up",
             [](const at::Tensor& x, const at::Tensor&, const at::Tensor&) {
               return FirUpsample(x, FirKernel({1, 2, 3, 4}));
             }},
        Case{"Down",
             [](const at::Tensor& x, const at::Tensor&, const at::Tensor&) {
               return FirDownsample(x, FirKernel({1, 2, 3, 4}));
             }},
        Case{"Smooth",
             [](const at::Tensor& x, const at::Tensor&, const at::Tensor&) {
               return FirSmooth(x, FirKernel({1, 2, 3, 4}));
             }}),
    [](const testing::TestParamInfo<Case>& info) { return info.param.name; });

// What a lane on a GPU runs, against the CPU.
class GpuOperatorsTest : public testing::TestWithParam<at::ScalarType> {};

TEST_P(GpuOperatorsTest, EqualThoseOfTheCpu) {
  if (CudaDeviceCount() == 0) GTEST_SKIP() << "no GPU";
  const c10::NoGradGuard no_grad;
  const FirKernel fir({1, 2, 3, 4});
  const double rounding = GetParam() == at::kFloat ? 2e-5 : 5e-2;
  for (const int64_t channels : {4, 12, 40, 160}) {
    const at::Tensor x = at::randn({3, channels, 8, 6}).to(GetParam());
    const at::Tensor scale = at::randn({3, channels}).to(GetParam());
    const at::Tensor exact = x.to(at::kFloat), on_gpu = x.to(at::kCUDA);
    EXPECT_LT(MaxAbsDifference(FirUpsample(on_gpu, fir).cpu(),
                               FirUpsample(exact, fir)),
              rounding);
    EXPECT_LT(MaxAbsDifference(FirDownsample(on_gpu, fir).cpu(),
                               FirDownsample(exact, fir)),
              rounding);
    EXPECT_LT(
        MaxAbsDifference(FirSmooth(on_gpu, fir).cpu(), FirSmooth(exact, fir)),
        rounding);
    EXPECT_LT(MaxAbsDifference(
                  GroupNormAct(on_gpu, scale.to(at::kCUDA), scale.to(at::kCUDA),
                               NormActivation::kSilu)
                      .cpu(),
                  GroupNormAct(exact, scale.to(at::kFloat),
                               scale.to(at::kFloat), NormActivation::kSilu)),
              2 * rounding);
  }
}

INSTANTIATE_TEST_SUITE_P(Cuda, GpuOperatorsTest,
                         testing::Values(at::kFloat, at::kBFloat16));

// R1 differentiates a gradient: the filter's own gradient must have one.
TEST(FirSecondOrderTest, GradientOfGradientMatchesDouble) {
  const auto second = [](const at::Tensor& start) {
    at::Tensor x = start.clone();
    x.set_requires_grad(true);
    const at::Tensor y =
        FirDownsample(x * x, FirKernel({1, 2, 3, 4})).square().sum();
    const at::Tensor g = torch::autograd::grad({y}, {x}, {}, true, true)[0];
    return torch::autograd::grad({g.square().sum()}, {x})[0];
  };
  const at::Tensor x = at::randn({2, 3, 8, 8});
  const at::Tensor expected = second(x.to(at::kDouble));
  EXPECT_LT(MaxAbsDifference(second(x), expected),
            1e-5 * expected.abs().max().item<double>());
}

}  // namespace
}  // namespace ddgan
