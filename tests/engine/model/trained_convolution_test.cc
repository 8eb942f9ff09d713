// Values and gradients of the convolutions that are trained, against LibTorch's
// in double.
#include "engine/model/trained_convolution.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <vector>

#include "tests/golden/fixture.h"

namespace ddgan {
namespace {

using golden::MaxAbsDifference;

struct Case {
  int64_t batch;
  int64_t in;
  int64_t out;
  int64_t size;
  int64_t kernel;
};

struct Leaves {
  at::Tensor x, weight, bias;

  explicit Leaves(const Case& c, bool bias_of_images)
      : x(at::randn({c.batch, c.in, c.size, c.size})),
        weight(at::randn({c.out, c.in, c.kernel, c.kernel})),
        bias(bias_of_images ? at::randn({c.batch, c.out})
                            : at::randn({c.out})) {
    SetRequiresGrad();
  }

  Leaves In(at::ScalarType type) const {
    Leaves copy = *this;
    for (at::Tensor* leaf : {&copy.x, &copy.weight, &copy.bias})
      *leaf = leaf->detach().to(type).clone();
    copy.SetRequiresGrad();
    return copy;
  }

  std::vector<at::Tensor> All() const { return {x, weight, bias}; }

 private:
  void SetRequiresGrad() {
    for (at::Tensor* leaf : {&x, &weight, &bias}) leaf->set_requires_grad(true);
  }
};

double Relative(const at::Tensor& value, const at::Tensor& exact) {
  return MaxAbsDifference(value, exact) /
         (exact.abs().max().item<double>() + 1e-30);
}

// Winograd's tiles of 4 and of 2, direct sums, channels that fill no vector,
// one image, one channel, and what is left to LibTorch.
class TrainedConvolutionTest : public testing::TestWithParam<Case> {
 protected:
  void TearDown() override { at::set_num_threads(1); }
};

TEST_P(TrainedConvolutionTest, HasLibTorchsValuesAndGradients) {
  for (const bool bias_of_images : {false, true}) {
    const Leaves leaves(GetParam(), bias_of_images);
    const Leaves exact = leaves.In(at::kDouble);
    const at::Tensor y = SameConvolution(leaves.x, leaves.weight, leaves.bias);
    at::Tensor wanted =
        at::conv2d(exact.x, exact.weight, {}, 1, GetParam().kernel / 2);
    wanted = wanted + exact.bias.view({bias_of_images ? GetParam().batch : 1,
                                       GetParam().out, 1, 1});
    EXPECT_LT(Relative(y, wanted), 1e-5);
    const at::Tensor factor = at::randn(y.sizes());
    const auto got = torch::autograd::grad({(y * factor).sum()}, leaves.All());
    const auto exactly = torch::autograd::grad(
        {(wanted * factor.to(at::kDouble)).sum()}, exact.All());
    for (size_t i = 0; i < got.size(); ++i)
      EXPECT_LT(Relative(got[i], exactly[i]), 5e-5) << i;
  }
}

TEST_P(TrainedConvolutionTest, HasGradientsOfItsGradients) {
  const auto second = [](const Leaves& leaves) {
    const at::Tensor y = SameConvolution(leaves.x, leaves.weight, leaves.bias);
    const auto first = torch::autograd::grad({y.square().sum()}, leaves.All(),
                                             {}, /*retain_graph=*/true,
                                             /*create_graph=*/true);
    at::Tensor penalty;
    for (const at::Tensor& gradient : first) {
      const at::Tensor squares = gradient.square().sum();
      penalty = penalty.defined() ? penalty + squares : squares;
    }
    return torch::autograd::grad({penalty}, leaves.All());
  };
  const Leaves leaves(GetParam(), /*bias_of_images=*/false);
  const auto got = second(leaves), exactly = second(leaves.In(at::kDouble));
  for (size_t i = 0; i < got.size(); ++i)
    EXPECT_LT(Relative(got[i], exactly[i]), 5e-5) << i;
}

TEST_P(TrainedConvolutionTest,
       HasTheSameBytesWithAnyNumberOfThreadsUpToTheBatch) {
  const Leaves leaves(GetParam(), /*bias_of_images=*/true);
  const at::Tensor factor = at::randn(
      {GetParam().batch, GetParam().out, GetParam().size, GetParam().size});
  std::vector<at::Tensor> wanted;
  for (const int threads : {1, 2, 5}) {
    if (threads > GetParam().batch) break;  // That is LibTorch's.
    at::set_num_threads(threads);
    const at::Tensor y = SameConvolution(leaves.x, leaves.weight, leaves.bias);
    std::vector<at::Tensor> all =
        torch::autograd::grad({(y * factor).sum()}, leaves.All());
    all.push_back(y);
    if (wanted.empty()) wanted = all;
    for (size_t i = 0; i < all.size(); ++i)
      EXPECT_TRUE(at::equal(all[i], wanted[i])) << threads << ' ' << i;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, TrainedConvolutionTest,
    testing::Values(Case{3, 16, 32, 8, 3}, Case{10, 8, 19, 12, 3},
                    Case{2, 65, 64, 4, 3}, Case{5, 33, 9, 6, 3},
                    Case{2, 12, 17, 7, 3}, Case{4, 1, 16, 16, 3},
                    Case{4, 16, 1, 16, 3}, Case{9, 2, 16, 32, 1},
                    Case{3, 20, 3, 5, 1}, Case{1, 1, 1, 1, 3}));

TEST(TrainedConvolutionFallbackTest, WideAndNonSquareOnesAreLibTorchs) {
  const Case wide = {2, 160, 128, 4, 3};
  const Leaves leaves(wide, /*bias_of_images=*/true);
  EXPECT_LT(Relative(SameConvolution(leaves.x, leaves.weight, leaves.bias),
                     SameConvolution(leaves.x.to(at::kDouble),
                                     leaves.weight.to(at::kDouble),
                                     leaves.bias.to(at::kDouble))),
            1e-5);
  const at::Tensor x = at::randn({2, 8, 4, 6}),
                   weight = at::randn({8, 8, 3, 3});
  EXPECT_TRUE(
      at::equal(SameConvolution(x, weight), at::conv2d(x, weight, {}, 1, 1)));
}

TEST(TrainedConvolutionFallbackTest, RefusesShapesThatDoNotFit) {
  const at::Tensor x = at::randn({2, 8, 4, 4});
  EXPECT_THROW(SameConvolution(x, at::randn({8, 9, 3, 3})), c10::Error);
  EXPECT_THROW(SameConvolution(x, at::randn({8, 8, 5, 5})), c10::Error);
}

}  // namespace
}  // namespace ddgan
