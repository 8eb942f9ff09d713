// Both discriminators against the reference implementation (tests/golden).
#include "trainer/networks/discriminator.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/flatten.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <string>

#include "tests/golden/fixture.h"
#include "trainer/networks/flat_parameters.h"
#include "trainer/networks/losses.h"

namespace ddgan {
namespace {

using golden::Fixture;
using golden::MaxAbsDifference;

struct GoldenCase {
  const char* fixture;
  DiscriminatorSize size;
  const char* full_case;
  std::vector<std::string> cases;
};

class DiscriminatorGoldenTest : public testing::TestWithParam<GoldenCase> {
 protected:
  DiscriminatorGoldenTest() : fixture_(GetParam().fixture) {
    config_.size = GetParam().size;
    config_.ngf = fixture_.Metadata("ngf");
    config_.t_emb_dim = fixture_.Metadata("t_emb_dim");
    plan_ = PlanDiscriminator(config_);
  }

  at::Tensor Value(const std::string& name) const {
    return fixture_[prefix_ + name];
  }

  // |norm of each parameter's gradient - expected|, relative.
  void ExpectGradientNorms(const FlatParameters& parameters,
                           const std::string& term) const {
    const Parameters gradients = parameters.Split(parameters.gradient());
    for (size_t i = 0; i < plan_.size(); ++i) {
      const double expected =
          Value("gnorm." + term + "." + plan_[i].name).item<double>();
      const double norm =
          gradients[i].to(at::kDouble).square().sum().sqrt().item<double>();
      EXPECT_NEAR(norm, expected, 1e-4 * expected + 1e-6)
          << term << " " << plan_[i].name;
      const std::string full = "grad." + term + "." + plan_[i].name;
      if (fixture_.Has(prefix_ + full)) {
        EXPECT_LT(MaxAbsDifference(gradients[i], Value(full)),
                  1e-4 * expected + 1e-6)
            << full;
      }
    }
  }

  Fixture fixture_;
  DiscriminatorConfig config_;
  std::vector<ParameterPlan> plan_;
  std::string prefix_;
};

TEST_P(DiscriminatorGoldenTest, MatchesLogitsAndEveryModule) {
  const c10::NoGradGuard no_grad;
  const Discriminator discriminator(config_, fixture_.Load("sd.", plan_));
  for (const std::string& name : GetParam().cases) {
    prefix_ = name + ".";
    size_t seen = 0;
    const at::Tensor logits = discriminator.Forward(
        Value("x"), Value("t"), Value("x_t"),
        [&](const std::string& module, const at::Tensor& value) {
          ++seen;
          const at::Tensor head = value.contiguous().select(0, 0).flatten();
          const at::Tensor expected = Value("act." + module + ".head");
          EXPECT_LT(
              MaxAbsDifference(head.narrow(0, 0, expected.numel()), expected),
              2e-5)
              << name << " " << module;
        });
    EXPECT_GE(seen, 8u);
    EXPECT_LT(MaxAbsDifference(logits, Value("out")), 1e-5) << name;
  }
}

TEST_P(DiscriminatorGoldenTest, MatchesLossesR1AndTheirGradients) {
  prefix_ = std::string(GetParam().full_case) + ".";
  FlatParameters parameters(fixture_.Load("sd.", plan_), at::kCPU);
  const Discriminator discriminator(config_, parameters.tensors());
  const double gamma = fixture_.Metadata("r1_gamma");

  at::Tensor x = Value("x").clone();
  x.set_requires_grad(true);
  const at::Tensor logits = discriminator.Forward(x, Value("t"), Value("x_t"));
  const at::Tensor real_loss = LossAsReal(logits);
  EXPECT_NEAR(real_loss.item<double>(), Value("errD_real").item<double>(),
              1e-5 * Value("errD_real").item<double>());
  torch::autograd::backward({real_loss}, {}, /*retain_graph=*/true);
  ExpectGradientNorms(parameters, "real");

  parameters.ZeroGradient();
  const at::Tensor gradient =
      torch::autograd::grad({logits.sum()}, {x}, {}, /*retain_graph=*/true)[0];
  EXPECT_LT(MaxAbsDifference(gradient, Value("grad_real_x")), 1e-5);
  const at::Tensor r1 = R1Penalty(logits, x, gamma);
  EXPECT_NEAR(r1.item<double>(), Value("r1").item<double>(),
              1e-5 * Value("r1").item<double>());
  torch::autograd::backward({r1});
  ExpectGradientNorms(parameters, "r1");

  parameters.ZeroGradient();
  const at::Tensor fake =
      discriminator.Forward(Value("fake_x"), Value("t"), Value("x_t"));
  EXPECT_LT(MaxAbsDifference(fake.flatten(), Value("fake_out").flatten()),
            1e-5);
  const at::Tensor fake_loss = LossAsFake(fake);
  EXPECT_NEAR(fake_loss.item<double>(), Value("errD_fake").item<double>(),
              1e-5 * Value("errD_fake").item<double>());
  torch::autograd::backward({fake_loss});
  ExpectGradientNorms(parameters, "fake");
}

INSTANTIATE_TEST_SUITE_P(Fixtures, DiscriminatorGoldenTest,
                         testing::Values(GoldenCase{"disc_small",
                                                    DiscriminatorSize::kSmall,
                                                    "b8",
                                                    {"b8", "b3", "b1"}},
                                         GoldenCase{"disc_large",
                                                    DiscriminatorSize::kLarge,
                                                    "b4",
                                                    {"b4", "b2"}}),
                         [](const testing::TestParamInfo<GoldenCase>& info) {
                           return std::string(info.param.fixture);
                         });

TEST(MinibatchStddevTest, MatchesReferenceForEveryGrouping) {
  const Fixture ops("ops");
  for (const char* batch : {"B1", "B3", "B4", "B8"}) {
    const std::string prefix = std::string("mbstd.") + batch + ".";
    const at::Tensor appended = AppendMinibatchStddev(ops[prefix + "x"]);
    EXPECT_LT(MaxAbsDifference(appended.narrow(1, 5, 1), ops[prefix + "map"]),
              1e-6)
        << batch;
  }
}

TEST(DiscriminatorTest, RefusesABatchThatGroupsDoNotDivide) {
  DiscriminatorConfig config;
  config.ngf = 2;
  config.t_emb_dim = 8;
  const Discriminator discriminator(
      config, InitialParameters(PlanDiscriminator(config), 1));
  const at::Tensor x = at::zeros({6, 3, 32, 32});
  EXPECT_THROW(discriminator.Forward(x, at::zeros({6}, at::kLong), x),
               c10::Error);
}

TEST(PlanDiscriminatorTest, CountsTheParametersOfThePaper) {
  const auto count = [](DiscriminatorSize size) {
    DiscriminatorConfig config;
    config.size = size;
    int64_t total = 0;
    for (const ParameterPlan& parameter : PlanDiscriminator(config)) {
      int64_t numel = 1;
      for (int64_t dim : parameter.shape) numel *= dim;
      total += numel;
    }
    return total;
  };
  EXPECT_EQ(count(DiscriminatorSize::kSmall), 12741633);
  EXPECT_EQ(count(DiscriminatorSize::kLarge), 27737217);
}

}  // namespace
}  // namespace ddgan
