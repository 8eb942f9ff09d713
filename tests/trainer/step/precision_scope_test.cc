#include "trainer/step/precision_scope.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones.h>
#include <gtest/gtest.h>

namespace ddgan {
namespace {

at::ScalarType TypeOfAProduct() {
  const at::Tensor a = at::ones({2, 2});
  return at::matmul(a, a).scalar_type();
}

TEST(PrecisionScopeTest, CastsProductsWhileItLives) {
  {
    const PrecisionScope scope(Precision::kBfloat16, at::kCPU);
    EXPECT_EQ(TypeOfAProduct(), at::kBFloat16);
  }
  EXPECT_EQ(TypeOfAProduct(), at::kFloat);
}

TEST(PrecisionScopeTest, Float32ChangesNothing) {
  const PrecisionScope scope(Precision::kFloat32, at::kCPU);
  EXPECT_EQ(TypeOfAProduct(), at::kFloat);
}

TEST(PrecisionScopeTest, ForgetsTheCastOfAWeightThatChangesAfterwards) {
  at::Tensor weight = at::ones({2, 2});
  weight.set_requires_grad(true);
  const auto product = [&] {
    const PrecisionScope scope(Precision::kBfloat16, at::kCPU);
    return at::matmul(weight, weight).sum().item<float>();
  };
  EXPECT_EQ(product(), 8);
  weight.detach().fill_(2);  // As an optimiser does.
  EXPECT_EQ(product(), 32);
}

}  // namespace
}  // namespace ddgan
