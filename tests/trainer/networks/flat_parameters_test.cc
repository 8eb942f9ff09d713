#include "trainer/networks/flat_parameters.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

namespace ddgan {
namespace {

class FlatParametersTest : public testing::Test {
 protected:
  FlatParameters parameters_{{at::full({2, 2}, 3.0f), at::full({3}, 5.0f)},
                             at::kCPU};
};

TEST_F(FlatParametersTest, ATensorIsAViewOfTheBuffer) {
  const at::Tensor& values = parameters_.values();
  ASSERT_EQ(values.numel(), 7);
  values.copy_(at::arange(7, at::kFloat));
  EXPECT_TRUE(at::equal(parameters_.tensors()[1].detach(),
                        at::arange(4, 7, at::kFloat)));
  EXPECT_EQ(parameters_.tensors()[0].sizes().vec(),
            (std::vector<int64_t>{2, 2}));
}

TEST_F(FlatParametersTest, BackwardAddsToTheFlatGradient) {
  const Parameters& tensors = parameters_.tensors();
  const at::Tensor loss = 2 * tensors[0].sum() + 3 * tensors[1].sum();
  torch::autograd::backward({loss}, {}, /*retain_graph=*/true);
  torch::autograd::backward({loss});
  const Parameters gradient = parameters_.Split(parameters_.gradient());
  EXPECT_TRUE(at::equal(gradient[0], at::full({2, 2}, 4.0f)));
  EXPECT_TRUE(at::equal(gradient[1], at::full({3}, 6.0f)));
  parameters_.ZeroGradient();
  EXPECT_TRUE(at::equal(parameters_.gradient(), at::zeros({7})));
}

TEST_F(FlatParametersTest, CopiesWhatItIsMadeOf) {
  const at::Tensor initial = at::full({2}, 1.0f);
  const FlatParameters copy({initial}, at::kCPU);
  initial.fill_(9);
  EXPECT_TRUE(at::equal(copy.values(), at::full({2}, 1.0f)));
}

}  // namespace
}  // namespace ddgan
