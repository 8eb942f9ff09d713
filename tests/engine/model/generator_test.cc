// The generator against the reference implementation (tests/golden).
#include "engine/model/generator.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/flatten.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "tests/golden/fixture.h"

namespace ddgan {
namespace {

using golden::Fixture;
using golden::MaxAbsDifference;

class GeneratorGoldenTest : public testing::TestWithParam<const char*> {
 protected:
  GeneratorGoldenTest()
      : fixture_(GetParam()),
        config_(golden::ToModelConfig(fixture_.Metadata("config"))),
        parameters_(fixture_.Load("sd.", PlanGenerator(config_).parameters)) {}

  Fixture fixture_;
  ModelConfig config_;
  Parameters parameters_;
};

TEST_P(GeneratorGoldenTest, HoldsExactlyTheParametersOfTheStateDict) {
  size_t in_file = 0;
  for (const auto& [name, tensor] : fixture_.tensors()) {
    if (name.starts_with("sd.")) ++in_file;
  }
  const std::vector<ParameterPlan> plan = PlanGenerator(config_).parameters;
  EXPECT_EQ(plan.size(), in_file);
  for (size_t i = 0; i < plan.size(); ++i) {
    EXPECT_EQ(parameters_[i].sizes(), at::IntArrayRef(plan[i].shape))
        << plan[i].name;
  }
}

TEST_P(GeneratorGoldenTest, MatchesImagesAndEmbeddings) {
  const c10::NoGradGuard no_grad;
  const Generator generator(config_, parameters_);
  EXPECT_LT(
      MaxAbsDifference(generator.Style(fixture_["in.z"]), fixture_["out.zemb"]),
      1e-5);
  EXPECT_LT(MaxAbsDifference(generator.TimeFeatures(fixture_["in.t"]),
                             fixture_["out.temb"]),
            1e-5);
  EXPECT_LT(MaxAbsDifference(
                generator.ForwardWithoutTanh(fixture_["in.x"], fixture_["in.t"],
                                             fixture_["in.z"]),
                fixture_["out.y_pre_tanh"]),
            2e-5);
  EXPECT_LT(
      MaxAbsDifference(generator.Forward(fixture_["in.x"], fixture_["in.t"],
                                         fixture_["in.z"]),
                       fixture_["out.y"]),
      2e-5);
}

TEST_P(GeneratorGoldenTest, MatchesInDoubleTo1em11) {
  const c10::NoGradGuard no_grad;
  Parameters wide;
  for (const at::Tensor& parameter : parameters_) {
    wide.push_back(parameter.to(at::kDouble));
  }
  const Generator generator(config_, wide);
  EXPECT_LT(
      MaxAbsDifference(
          generator.Forward(fixture_["in.x"].to(at::kDouble), fixture_["in.t"],
                            fixture_["in.z"].to(at::kDouble)),
          fixture_["out.y_f64"]),
      1e-11);
}

TEST_P(GeneratorGoldenTest, MatchesEveryModulesOutput) {
  const c10::NoGradGuard no_grad;
  const Generator generator(config_, parameters_);
  size_t seen = 0;
  generator.ForwardWithoutTanh(
      fixture_["in.x"], fixture_["in.t"], fixture_["in.z"],
      [&](size_t i, const at::Tensor& value) {
        const std::string prefix = "act." + std::to_string(i);
        ASSERT_TRUE(fixture_.Has(prefix + ".head")) << prefix;
        ++seen;
        const at::Tensor head =
            value.contiguous().select(0, 0).flatten().narrow(0, 0, 16);
        EXPECT_LT(MaxAbsDifference(head, fixture_[prefix + ".head"]), 2e-5)
            << prefix;
        const at::Tensor wide = value.to(at::kDouble);
        const double norm = wide.square().sum().sqrt().item<double>();
        const double expected = fixture_[prefix + ".stats"][4].item<double>();
        EXPECT_NEAR(norm, expected, 1e-5 * expected) << prefix;
      });
  EXPECT_EQ(seen, generator.plan().modules.size() - 2);  // The time MLP is not
                                                         // an image.
}

TEST_P(GeneratorGoldenTest, MatchesGradientsOfInputAndParameters) {
  for (at::Tensor& parameter : parameters_) parameter.set_requires_grad(true);
  const Generator generator(config_, parameters_);
  at::Tensor x = fixture_["in.x"].clone();
  x.set_requires_grad(true);
  const at::Tensor y = generator.Forward(x, fixture_["in.t"], fixture_["in.z"]);
  torch::autograd::backward({(y * fixture_["grad.w"]).sum()});
  EXPECT_LT(MaxAbsDifference(x.grad(), fixture_["grad.x"]), 2e-4);
  const std::vector<ParameterPlan>& plan = generator.plan().parameters;
  for (size_t i = 0; i < plan.size(); ++i) {
    const double expected =
        fixture_["grad.norm." + plan[i].name].item<double>();
    const double norm = parameters_[i]
                            .grad()
                            .to(at::kDouble)
                            .square()
                            .sum()
                            .sqrt()
                            .item<double>();
    // NIN_1.b has a true gradient of zero: only rounding noise is left.
    EXPECT_NEAR(norm, expected, 1e-4 * expected + 2e-4) << plan[i].name;
  }
}

INSTANTIATE_TEST_SUITE_P(Fixtures, GeneratorGoldenTest,
                         testing::Values("gen_small", "gen_tiny_none_none",
                                         "gen_tiny_outskip_inskip"));

TEST(GeneratorTest, DependsOnTheDirectionOfTheLatentOnly) {
  const c10::NoGradGuard no_grad;
  const Fixture fixture("gen_small");
  const ModelConfig config = golden::ToModelConfig(fixture.Metadata("config"));
  const Generator generator(
      config, fixture.Load("sd.", PlanGenerator(config).parameters));
  EXPECT_LT(MaxAbsDifference(generator.Style(fixture["in.z"] * 0.9),
                             generator.Style(fixture["in.z"])),
            1e-6);
}

TEST(InitialParametersTest, StayWithinTheirBoundsAndDependOnTheSeed) {
  ModelConfig config;
  config.num_channels_dae = 16;
  const std::vector<ParameterPlan> plan = PlanGenerator(config).parameters;
  const Parameters parameters = InitialParameters(plan, 7);
  const Parameters same = InitialParameters(plan, 7);
  const Parameters other = InitialParameters(plan, 8);
  bool differs = false;
  for (size_t i = 0; i < plan.size(); ++i) {
    EXPECT_EQ(MaxAbsDifference(parameters[i], same[i]), 0) << plan[i].name;
    differs |= MaxAbsDifference(parameters[i], other[i]) > 0;
    if (plan[i].init.bound == 0) continue;
    const double largest = parameters[i].abs().max().item<double>();
    EXPECT_LE(largest, plan[i].init.bound * (1 + 1e-6)) << plan[i].name;
    if (parameters[i].numel() > 500) {
      EXPECT_GT(largest, 0.97 * plan[i].init.bound) << plan[i].name;
    }
  }
  EXPECT_TRUE(differs);
}

}  // namespace
}  // namespace ddgan
