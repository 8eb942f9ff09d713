// Four steps of the reference's own training run (tests/golden/train_tiny).
#include "trainer/step/training_step.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "tests/golden/fixture.h"
#include "trainer/dataset/data_order.h"
#include "trainer/step/denoising_loss.h"
#include "trainer/step/learning_rate.h"

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
    const at::Tensor difference =
        (parameters[i] - fixture[prefix + plan[i].name]).abs();
    // The gradient of one or another weight is as small as its rounding, which
    // differs from processor to processor.
    EXPECT_LE((difference >= 2e-6).sum().item<int64_t>(),
              1 + difference.numel() / 1000)
        << prefix << plan[i].name;
    EXPECT_LT(difference.max().item<double>(), 1e-5) << prefix << plan[i].name;
  }
}

NetworksConfig GoldenNetworks(const nlohmann::json& args) {
  NetworksConfig networks;
  networks.model = golden::ToModelConfig(args);
  networks.discriminator.ngf = args.at("ngf");
  networks.discriminator.t_emb_dim = args.at("t_emb_dim");
  return networks;
}

TrainingOptions GoldenOptions(const nlohmann::json& args) {
  TrainingOptions options;
  options.r1_gamma = args.at("r1_gamma");
  options.lazy_reg = args.at("lazy_reg");
  options.ema_decay = args.at("ema_decay");
  return options;
}

TEST(TrainingStepGoldenTest, FourStepsEqualTheReference) {
  const Fixture fixture("train_tiny");
  const nlohmann::json args = fixture.Metadata("args");
  const NetworksConfig networks = GoldenNetworks(args);
  const std::vector<ParameterPlan> g_plan = PlanGeneratorParameters(networks);
  const std::vector<ParameterPlan> d_plan =
      PlanDiscriminatorParameters(networks);
  TrainingStep training(networks, GoldenOptions(args),
                        fixture.Load("init.G.", g_plan),
                        fixture.Load("init.D.", d_plan), at::kCPU);

  constexpr int kStepsPerEpoch = 3;
  const int num_epochs = args.at("num_epoch");
  for (int step = 0; step < 4; ++step) {
    const std::string prefix = "step" + std::to_string(step) + ".";
    const int epoch = step / kStepsPerEpoch;
    const StepLosses losses =
        training
            .Run(fixture[prefix + "x"],
                 {GoldenDraws(fixture, prefix, "D"),
                  GoldenDraws(fixture, prefix, "G")},
                 {step, CosineLearningRate(args.at("lr_g"), epoch, num_epochs),
                  CosineLearningRate(args.at("lr_d"), epoch, num_epochs)})
            .value();

    const auto expect_loss = [&](double loss, const char* name) {
      const double expected = fixture[prefix + name].item<double>();
      EXPECT_NEAR(loss, expected, 1e-5 * expected) << prefix << name;
    };
    expect_loss(*losses.discriminator_real, "errD_real");
    expect_loss(*losses.discriminator_fake, "errD_fake");
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

// Steps from the reference's own initial weights and images, on draws of our
// own.
class TrainingStepTest : public testing::Test {
 protected:
  static constexpr int kNumEpochs = 10;
  static constexpr int kStepsPerEpoch = 10;

  // Networks this small lose more by waking threads than they gain.
  TrainingStepTest() { at::set_num_threads(1); }

  std::unique_ptr<TrainingStep> NewTraining(const TrainingOptions& options) {
    return std::make_unique<TrainingStep>(
        networks_, options,
        fixture_.Load("init.G.", PlanGeneratorParameters(networks_)),
        fixture_.Load("init.D.", PlanDiscriminatorParameters(networks_)),
        at::kCPU);
  }

  TrainingDraws NewDraws(const std::vector<uint32_t>& rows) const {
    const ModelConfig& model = networks_.model;
    return {{model.num_channels, model.image_size, model.image_size, model.nz,
             model.num_timesteps},
            /*seed=*/5,
            rows,
            at::kCPU};
  }

  at::Tensor Images() const { return fixture_["step0.x"]; }
  std::vector<uint32_t> AllRows() const {
    return RowsOfSlot(static_cast<int>(Images().size(0)), 1, 0);
  }

  // Spec 5.2, written down once more.
  static double Rate(double base, int64_t step) {
    const int64_t epoch = step / kStepsPerEpoch;
    return 1e-5 + (base - 1e-5) * (1 + std::cos(M_PI * epoch / kNumEpochs)) / 2;
  }
  static StepSettings Settings(int64_t step) {
    const int epoch = static_cast<int>(step / kStepsPerEpoch);
    return {step, CosineLearningRate(1.6e-4, epoch, kNumEpochs),
            CosineLearningRate(1.25e-4, epoch, kNumEpochs)};
  }

  const Fixture fixture_{"train_tiny"};
  const NetworksConfig networks_ = GoldenNetworks(fixture_.Metadata("args"));
};

TEST_F(TrainingStepTest, TheAverageFollowsItsFormulaFor100Steps) {
  TrainingOptions options;
  options.ema_decay = 0.99;
  const auto training = NewTraining(options);
  TrainingDraws draws = NewDraws(AllRows());
  at::Tensor expected;
  for (int64_t step = 0; step < 100; ++step) {
    ASSERT_TRUE(training->Run(Images(), draws.Draw(step), Settings(step)).ok());
    const at::Tensor values =
        training->generator_parameters().values().to(at::kDouble);
    // The first average is a copy of the values after the first step.
    if (step == 0) expected = values.clone();
    expected = 0.99 * expected + 0.01 * values;
  }
  EXPECT_LT(MaxAbsDifference(training->ema().values(), expected), 1e-6);
  EXPECT_GT(
      MaxAbsDifference(training->generator_parameters().values(), expected),
      1e-4);
}

// Adam in double, on the gradients of the run, at the formula's rates.
TEST_F(TrainingStepTest, BothNetworksTakeAdamsStepsAtTheCosineRateFor100Steps) {
  const auto training = NewTraining({});
  TrainingDraws draws = NewDraws(AllRows());
  struct Expected {
    const FlatParameters& parameters;
    double base;
    at::Tensor values, m, v;
  };
  std::vector<Expected> all = {
      {training->generator_parameters(), 1.6e-4, {}, {}, {}},
      {training->discriminator_parameters(), 1.25e-4, {}, {}, {}}};
  for (Expected& e : all) {
    e.values = e.parameters.values().to(at::kDouble).clone();
    e.m = e.v = e.values * 0;
  }
  for (int64_t step = 0; step < 100; ++step) {
    ASSERT_TRUE(training->Run(Images(), draws.Draw(step), Settings(step)).ok());
    for (Expected& e : all) {
      const at::Tensor g = e.parameters.gradient().to(at::kDouble);
      e.m = 0.5 * e.m + 0.5 * g;
      e.v = 0.9 * e.v + 0.1 * g * g;
      const double n = static_cast<double>(step + 1);
      const at::Tensor m_hat = e.m / (1 - std::pow(0.5, n));
      const at::Tensor v_hat = e.v / (1 - std::pow(0.9, n));
      e.values = e.values - Rate(e.base, step) * m_hat / (v_hat.sqrt() + 1e-8);
    }
  }
  for (const Expected& e : all) {
    EXPECT_LT(MaxAbsDifference(e.parameters.values(), e.values), 1e-5);
  }
}

TEST_F(TrainingStepTest, R1IsItsFormulaOnEveryFifthOf100Steps) {
  TrainingOptions options;
  options.lazy_reg = 5;
  options.r1_gamma = 0.4;
  const auto training = NewTraining(options);
  TrainingDraws draws = NewDraws(AllRows());
  for (int64_t step = 0; step < 100; ++step) {
    const StepDraws& drawn = draws.Draw(step);
    const HalfStepDraws& half = drawn.discriminator;
    const Diffusion::Pair pair = training->diffusion().DiffusePair(
        Images(), half.t, half.step_noise, half.noise);
    at::Tensor x_t = pair.x_t.detach();
    x_t.set_requires_grad(true);
    const at::Tensor gradient = torch::autograd::grad(
        {training->networks().Discriminate(x_t, half.t, pair.x_next).sum()},
        {x_t})[0];
    // Not multiplied by the interval, unlike StyleGAN2's.
    const double expected = 0.4 / 2 * gradient.square().sum().item<double>() /
                            static_cast<double>(Images().size(0));
    const StepLosses losses =
        training->Run(Images(), drawn, Settings(step)).value();
    ASSERT_EQ(losses.r1.has_value(), step % 5 == 0) << step;
    if (losses.r1) {
      EXPECT_NEAR(*losses.r1, expected, 1e-4 * expected) << step;
    }
  }
}

// The batch cut into micro-batches of whole groups gives the same steps.
TEST_F(TrainingStepTest, MicroBatchesAddUpToTheWholeBatch) {
  const at::Tensor images = at::cat({Images(), Images().flip(3)});
  const int batch = static_cast<int>(images.size(0));
  ASSERT_EQ(batch % 8, 0);
  TrainingOptions options;
  options.lazy_reg = 2;
  const auto whole = NewTraining(options);
  options.accumulate = 2;
  const auto parts = NewTraining(options);

  TrainingDraws whole_draws = NewDraws(RowsOfSlot(batch, 1, 0));
  std::vector<uint32_t> rows = RowsOfSlot(batch, 2, 0);
  const std::vector<uint32_t> second = RowsOfSlot(batch, 2, 1);
  rows.insert(rows.end(), second.begin(), second.end());
  TrainingDraws part_draws = NewDraws(rows);
  const at::Tensor order = at::empty({batch}, at::kLong);
  std::copy(rows.begin(), rows.end(), order.mutable_data_ptr<int64_t>());
  const at::Tensor part_images = images.index_select(0, order);

  for (int64_t step = 0; step < 5; ++step) {
    const StepLosses a =
        whole->Run(images, whole_draws.Draw(step), Settings(step)).value();
    const StepLosses b =
        parts->Run(part_images, part_draws.Draw(step), Settings(step)).value();
    EXPECT_NEAR(*a.discriminator_real, *b.discriminator_real, 1e-5);
    EXPECT_NEAR(*a.discriminator_fake, *b.discriminator_fake, 1e-5);
    EXPECT_NEAR(*a.generator, *b.generator, 1e-5);
    ASSERT_EQ(a.r1.has_value(), b.r1.has_value());
    EXPECT_NEAR(a.r1.value_or(0), b.r1.value_or(0), 1e-5 * a.r1.value_or(1));
  }
}

TEST_F(TrainingStepTest, Bfloat16StaysCloseToFloat32AndKeepsFloat32Weights) {
  TrainingOptions options;
  const auto exact = NewTraining(options);
  options.precision = Precision::kBfloat16;
  const auto rounded = NewTraining(options);
  TrainingDraws draws = NewDraws(AllRows());
  bool any_difference = false;
  for (int64_t step = 0; step < 10; ++step) {
    const StepDraws& drawn = draws.Draw(step);
    const StepLosses a = exact->Run(Images(), drawn, Settings(step)).value();
    const StepLosses b = rounded->Run(Images(), drawn, Settings(step)).value();
    EXPECT_NEAR(*b.discriminator_real, *a.discriminator_real,
                0.03 * *a.discriminator_real);
    EXPECT_NEAR(*b.generator, *a.generator, 0.03 * *a.generator);
    EXPECT_NEAR(*b.r1, *a.r1, 0.1 * *a.r1);
    any_difference |= b.discriminator_real != a.discriminator_real;
  }
  EXPECT_TRUE(any_difference) << "bfloat16 changed nothing: was it on?";
  EXPECT_EQ(rounded->generator_parameters().values().scalar_type(), at::kFloat);
}

// --- Denoisers

// The spec's table of ac for T = 4, written down once more.
TEST(DenoisingWeightsTest, AreTheSignalToNoiseOfTheStateThatTheNetworkSees) {
  const std::vector<float> weights =
      DenoisingWeights(ComputeNoiseSchedule({.num_timesteps = 4}));
  const double ac[] = {0.722319, 0.2804924, 0.05855665, 0.006571942};
  ASSERT_EQ(weights.size(), 4u);
  for (int t = 0; t < 4; ++t) {
    const double snr = ac[t] * ac[t] / (1 - ac[t] * ac[t]);
    EXPECT_NEAR(weights[t], snr, 1e-4 * snr) << t;
  }
}

// acp from the process itself: a ratio of alpha-bars of the published formula.
TEST(DenoisingWeightsTest, AreAtMostFiveWithAThousandSteps) {
  const std::vector<float> weights =
      DenoisingWeights(ComputeNoiseSchedule({.num_timesteps = 1000}));
  ASSERT_EQ(weights.size(), 1000u);
  const auto alpha_bar = [](double tau) {
    return std::exp(-0.5 * tau * tau * 19.9 - tau * 0.1);
  };
  for (int t = 0; t < 1000; ++t) {
    const double tau = (t + 1) / 1000.0 * (1 - 1e-3) + 1e-3;
    const double acp = alpha_bar(tau) / alpha_bar(1e-3);
    const double expected = std::min(5.0, acp / (1 - acp));
    EXPECT_NEAR(weights[t], expected, 1e-3 * expected) << t;
  }
  EXPECT_EQ(weights[0], 5);
}

class DenoisingStepTest : public TrainingStepTest {
 protected:
  std::unique_ptr<TrainingStep> NewDenoiser(const TrainingOptions& options) {
    NetworksConfig config = networks_;
    config.model.objective = "denoising";
    EXPECT_TRUE(PlanDiscriminatorParameters(config).empty());
    return std::make_unique<TrainingStep>(
        config, options,
        fixture_.Load("init.G.", PlanGeneratorParameters(config)), Parameters(),
        at::kCPU);
  }

  TrainingDraws DenoiserDraws(const std::vector<uint32_t>& rows) const {
    const ModelConfig& model = networks_.model;
    return {{model.num_channels, model.image_size, model.image_size, model.nz,
             model.num_timesteps},
            /*seed=*/5,
            rows,
            at::kCPU,
            DrawnTensors::kDenoising};
  }
};

TEST_F(DenoisingStepTest, TheLossIsItsFormula) {
  const auto training = NewDenoiser({});
  EXPECT_FALSE(training->has_discriminator());
  TrainingDraws draws = DenoiserDraws(AllRows());
  const NoiseSchedule schedule =
      ComputeNoiseSchedule(ProcessOf(networks_.model));
  const StepDraws& drawn = draws.Draw(0);
  double expected = 0;
  const int64_t rows = Images().size(0);
  for (int64_t row = 0; row < rows; ++row) {
    const HalfStepDraws one = drawn.generator.Rows(row, 1);
    const int64_t t = one.t.item<int64_t>();
    const double ac = schedule.ac[t + 1], sc = schedule.sc[t + 1];
    const at::Tensor x0 = Images().narrow(0, row, 1);
    const at::Tensor predicted = training->networks().Generate(
        ac * x0 + sc * one.noise, one.t, at::zeros({1, networks_.model.nz}));
    expected += std::min(ac * ac / (sc * sc), 5.0) *
                (x0 - predicted).square().mean().item<double>();
  }
  expected /= static_cast<double>(rows);
  const StepLosses losses = training->Run(Images(), drawn, Settings(0)).value();
  EXPECT_NEAR(losses.generator.value(), expected, 1e-4 * expected);
  EXPECT_FALSE(losses.discriminator_real || losses.discriminator_fake ||
               losses.r1);
}

TEST_F(DenoisingStepTest, MicroBatchesAddUpToTheWholeBatch) {
  TrainingOptions options;
  const auto whole = NewDenoiser(options);
  options.accumulate = 2;
  const auto parts = NewDenoiser(options);
  TrainingDraws draws = DenoiserDraws(AllRows());
  for (int64_t step = 0; step < 5; ++step) {
    const StepLosses a =
        whole->Run(Images(), draws.Draw(step), Settings(step)).value();
    const StepLosses b =
        parts->Run(Images(), draws.Draw(step), Settings(step)).value();
    EXPECT_NEAR(*a.generator, *b.generator, 1e-5 * *a.generator);
  }
}

TEST_F(DenoisingStepTest, Bfloat16StaysCloseToFloat32) {
  TrainingOptions options;
  const auto exact = NewDenoiser(options);
  options.precision = Precision::kBfloat16;
  const auto rounded = NewDenoiser(options);
  TrainingDraws draws = DenoiserDraws(AllRows());
  const StepDraws& drawn = draws.Draw(0);
  const double a = *exact->Run(Images(), drawn, Settings(0)).value().generator;
  const double b =
      *rounded->Run(Images(), drawn, Settings(0)).value().generator;
  EXPECT_NEAR(a, b, 0.03 * a);
  EXPECT_NE(a, b) << "bfloat16 changed nothing: was it on?";
}

NetworksConfig ToyConfig(int num_timesteps) {
  NetworksConfig config;
  config.kind = NetworkKind::kToyMlp;
  config.model.nz = 2;
  config.model.num_timesteps = num_timesteps;
  config.toy_width = 32;
  return config;
}

// Points of two places, from a state of which x0 can be told but for the
// noisiest steps.
TEST(ToyDenoiserTest, LearnsWithAThousandSteps) {
  at::set_num_threads(1);
  NetworksConfig config = ToyConfig(1000);
  config.model.objective = "denoising";
  TrainingStep training(config, {},
                        InitialParameters(PlanGeneratorParameters(config), 1),
                        Parameters(), at::kCPU);
  const int batch = 64;
  TrainingDraws draws({2, 1, 1, 2, 1000}, 3, RowsOfSlot(batch, 1, 0), at::kCPU,
                      DrawnTensors::kDenoising);
  at::Tensor points = at::ones({batch, 2, 1, 1});
  points.narrow(0, 0, batch / 2).neg_();
  double first = 0, last = 0;
  for (int64_t step = 0; step < 400; ++step) {
    const StepLosses losses =
        training.Run(points, draws.Draw(step), {step, 2e-3, 0}).value();
    if (step < 20) first += *losses.generator / 20;
    if (step >= 380) last += *losses.generator / 20;
  }
  EXPECT_GT(first, 0.5);
  EXPECT_LT(last, 0.25 * first);
}

TEST(ToyNetworksTest, AGanOfOneStepTrains) {
  const NetworksConfig config = ToyConfig(1);
  TrainingStep training(
      config, {}, InitialParameters(PlanGeneratorParameters(config), 1),
      InitialParameters(PlanDiscriminatorParameters(config), 2), at::kCPU);
  TrainingDraws draws({2, 1, 1, 2, 1}, 3, RowsOfSlot(8, 1, 0), at::kCPU);
  const at::Tensor points = at::ones({8, 2, 1, 1});
  for (int64_t step = 0; step < 3; ++step) {
    const StepDraws& drawn = draws.Draw(step);
    EXPECT_TRUE((drawn.generator.t == 0).all().item<bool>());
    const StepLosses losses =
        training.Run(points, drawn, {step, 1e-3, 1e-3}).value();
    EXPECT_TRUE(std::isfinite(losses.generator.value()));
    EXPECT_GT(losses.r1.value(), 0);
  }
}

TEST(ToyNetworksTest, HaveTheShapesOfPointsAndLearn) {
  NetworksConfig config;
  config.kind = NetworkKind::kToyMlp;
  config.model.nz = 4;
  config.toy_width = 16;
  TrainingStep training(
      config, {}, InitialParameters(PlanGeneratorParameters(config), 1),
      InitialParameters(PlanDiscriminatorParameters(config), 2), at::kCPU);
  TrainingDraws draws({2, 1, 1, 4, 4}, 3, RowsOfSlot(8, 1, 0), at::kCPU);
  const at::Tensor points = at::ones({8, 2, 1, 1});
  const at::Tensor before = training.generator_parameters().values().clone();
  for (int64_t step = 0; step < 3; ++step) {
    const StepLosses losses =
        training.Run(points, draws.Draw(step), {step, 1e-3, 1e-3}).value();
    EXPECT_TRUE(losses.r1.has_value());
    EXPECT_GT(losses.discriminator_real.value(), 0);
  }
  EXPECT_GT(MaxAbsDifference(training.generator_parameters().values(), before),
            1e-4);
}

}  // namespace
}  // namespace ddgan
