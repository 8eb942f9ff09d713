// Values and gradients of the attention that is trained, against LibTorch's
// operators in double.
#include "engine/model/trained_attention.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <vector>

#include "tests/golden/fixture.h"

namespace ddgan {
namespace {

using golden::MaxAbsDifference;

// y and the gradient of qkv.
std::vector<at::Tensor> ValueAndGradient(const at::Tensor& qkv,
                                         const at::Tensor& factor) {
  const at::Tensor leaf = qkv.clone().set_requires_grad(true);
  const at::Tensor y = SelfAttention(leaf);
  return {y, torch::autograd::grad({(y * factor).sum()}, {leaf})[0]};
}

struct Case {
  int64_t batch, channels, height, width;
};

class TrainedAttentionTest : public testing::TestWithParam<Case> {
 protected:
  void TearDown() override { at::set_num_threads(1); }

  const Case case_ = GetParam();
  const at::Tensor qkv_ =
      at::randn({case_.batch, 3 * case_.channels, case_.height, case_.width});
  const at::Tensor factor_ =
      at::randn({case_.batch, case_.channels, case_.height, case_.width});
};

TEST_P(TrainedAttentionTest, HasLibTorchsValuesAndGradients) {
  const auto got = ValueAndGradient(qkv_, factor_);
  const auto exact =
      ValueAndGradient(qkv_.to(at::kDouble), factor_.to(at::kDouble));
  for (size_t i = 0; i < got.size(); ++i) {
    EXPECT_LT(MaxAbsDifference(got[i], exact[i]),
              1e-5 * exact[i].abs().max().item<double>())
        << i;
  }
}

TEST_P(TrainedAttentionTest, HasTheSameBytesWithTwoThreads) {
  at::set_num_threads(1);
  const auto wanted = ValueAndGradient(qkv_, factor_);
  at::set_num_threads(2);
  const auto got = ValueAndGradient(qkv_, factor_);
  for (size_t i = 0; i < got.size(); ++i)
    EXPECT_TRUE(at::equal(got[i], wanted[i])) << i;
}

// Blocks of queries that are whole or not, and channels that the kernels leave
// to LibTorch.
INSTANTIATE_TEST_SUITE_P(Shapes, TrainedAttentionTest,
                         testing::Values(Case{3, 16, 8, 8}, Case{3, 32, 16, 16},
                                         Case{2, 48, 5, 7}, Case{2, 12, 4, 4},
                                         Case{2, 16, 1, 1}));

}  // namespace
}  // namespace ddgan
