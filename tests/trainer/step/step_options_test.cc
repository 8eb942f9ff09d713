#include "trainer/step/step_options.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "trainer/options/training_config.h"

namespace ddgan {
namespace {

TrainerOptions Configuration(const std::string& name) {
  const absl::StatusOr<TrainerOptions> options = ResolveOptions(name, {});
  EXPECT_TRUE(options.ok()) << options.status();
  return options.ok() ? *options : TrainerOptions();
}

int64_t Numbers(const std::vector<ParameterPlan>& plan) {
  int64_t numbers = 0;
  for (const ParameterPlan& parameter : plan) {
    int64_t of_one = 1;
    for (const int64_t size : parameter.shape) of_one *= size;
    numbers += of_one;
  }
  return numbers;
}

// The counts are the published networks'.
TEST(StepOptionsTest, Cifar10HasThePapersNetworks) {
  const NetworksConfig networks = NetworksOf(Configuration("cifar10"));
  EXPECT_EQ(Numbers(PlanGeneratorParameters(networks)), 48432515);
  EXPECT_EQ(Numbers(PlanDiscriminatorParameters(networks)), 12741633);
}

TEST(StepOptionsTest, ImagesOf256PixelsHaveTheLargeDiscriminator) {
  for (const char* name : {"celebahq_256", "lsun_church_256"}) {
    const NetworksConfig networks = NetworksOf(Configuration(name));
    EXPECT_EQ(networks.discriminator.size, DiscriminatorSize::kLarge);
    EXPECT_EQ(Numbers(PlanDiscriminatorParameters(networks)), 27737217);
  }
}

TEST(StepOptionsTest, PointsHaveTheToyNetworks) {
  const NetworksConfig networks = NetworksOf(Configuration("25_gaussians"));
  EXPECT_EQ(networks.kind, NetworkKind::kToyMlp);
  EXPECT_EQ(networks.toy_width, 256);
}

TEST(StepOptionsTest, AStepHasTheRunsNumbers) {
  TrainerOptions options;
  options.r1_gamma = 0.75;
  options.lazy_reg = 7;
  options.ema_decay = 0.5;
  options.discriminator_head_start = 3;
  options.accumulate = 2;
  const TrainingOptions step = StepOptionsOf(options);
  EXPECT_EQ(step.r1_gamma, 0.75);
  EXPECT_EQ(step.lazy_reg, 7);
  EXPECT_EQ(step.ema_decay, 0.5);
  EXPECT_EQ(step.discriminator_head_start, 3);
  EXPECT_EQ(step.accumulate, 2);
}

TEST(StepOptionsTest, EachPrecisionHasItsName) {
  const auto precision = [](const char* name) {
    TrainerOptions options;
    options.precision = name;
    return StepOptionsOf(options).precision;
  };
  EXPECT_EQ(precision("float32"), Precision::kFloat32);
  EXPECT_EQ(precision("tf32"), Precision::kTf32);
  EXPECT_EQ(precision("bfloat16"), Precision::kBfloat16);
}

}  // namespace
}  // namespace ddgan
