// Four steps of the reference's own training run (tests/golden/train_tiny).
#include "trainer/training_step.h"

#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/match.h"
#include "tests/golden/fixture.h"
#include "trainer/learning_rate.h"

namespace ddgan {
namespace {

using golden::Fixture;
using golden::MaxAbsDifference;

HalfStepDraws GoldenDraws(const Fixture& fixture, const std::string& step,
                          const std::string& half) {
  return {fixture[step + "draw.t_" + half],
          fixture[step + "draw.noise_step_" + half],
          fixture[step + "draw.noise_qsample_" + half],
          fixture[step + "draw.z_" + half],
          fixture[step + "draw.noise_post_" + half]};
}

void ExpectParameters(const Fixture& fixture, const std::string& prefix,
                      const std::vector<ParameterPlan>& plan,
                      const Parameters& parameters) {
  for (size_t i = 0; i < plan.size(); ++i) {
    // Its true gradient is zero; Adam makes lr-sized steps of rounding noise.
    if (absl::EndsWith(plan[i].name, "NIN_1.b")) continue;
    EXPECT_LT(MaxAbsDifference(parameters[i], fixture[prefix + plan[i].name]),
              2e-6)
        << prefix << plan[i].name;
  }
}

TEST(TrainingStepGoldenTest, FourStepsEqualTheReference) {
  const Fixture fixture("train_tiny");
  const nlohmann::json args = fixture.Metadata("args");
  const ModelConfig config = golden::ToModelConfig(args);
  NetworksConfig networks;
  networks.model = config;
  networks.discriminator.ngf = args.at("ngf");
  networks.discriminator.t_emb_dim = args.at("t_emb_dim");
  TrainingOptions options;
  options.r1_gamma = args.at("r1_gamma");
  options.lazy_reg = args.at("lazy_reg");
  options.ema_decay = args.at("ema_decay");
  const std::vector<ParameterPlan> g_plan = PlanGeneratorParameters(networks);
  const std::vector<ParameterPlan> d_plan =
      PlanDiscriminatorParameters(networks);
  TrainingStep training(networks, options, fixture.Load("init.G.", g_plan),
                        fixture.Load("init.D.", d_plan), at::kCPU);

  constexpr int kStepsPerEpoch = 3;
  const int num_epochs = args.at("num_epoch");
  for (int step = 0; step < 4; ++step) {
    const std::string prefix = "step" + std::to_string(step) + ".";
    const int epoch = step / kStepsPerEpoch;
    const StepLosses losses = training.Run(
        fixture[prefix + "x"],
        {GoldenDraws(fixture, prefix, "D"), GoldenDraws(fixture, prefix, "G")},
        {step, CosineLearningRate(args.at("lr_g"), epoch, num_epochs),
         CosineLearningRate(args.at("lr_d"), epoch, num_epochs)});

    const auto expect_loss = [&](double loss, const char* name) {
      const double expected = fixture[prefix + name].item<double>();
      EXPECT_NEAR(loss, expected, 1e-5 * expected) << prefix << name;
    };
    expect_loss(losses.discriminator_real, "errD_real");
    expect_loss(losses.discriminator_fake, "errD_fake");
    ASSERT_TRUE(losses.generator.has_value());
    expect_loss(*losses.generator, "errG");
    ASSERT_EQ(losses.r1.has_value(), fixture.Has(prefix + "r1"));
    if (losses.r1) expect_loss(*losses.r1, "r1");

    ExpectParameters(fixture, prefix + "after.G.", g_plan,
                     training.generator_parameters().tensors());
    ExpectParameters(fixture, prefix + "after.D.", d_plan,
                     training.discriminator_parameters().tensors());
    ExpectParameters(
        fixture, prefix + "after.ema.", g_plan,
        training.generator_parameters().Split(training.ema().values()));
  }

  const Parameters exp_avg = training.generator_parameters().Split(
      training.generator_optimiser().exp_avg());
  for (size_t i = 0; i < g_plan.size(); ++i) {
    if (absl::EndsWith(g_plan[i].name, "NIN_1.b")) continue;
    const double expected =
        fixture["step3.adam.G.exp_avg_norm." + g_plan[i].name].item<double>();
    const double norm =
        exp_avg[i].to(at::kDouble).square().sum().sqrt().item<double>();
    EXPECT_NEAR(norm, expected, 1e-4 * expected + 1e-6) << g_plan[i].name;
  }
}

}  // namespace
}  // namespace ddgan
