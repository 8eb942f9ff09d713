// The schedule and the process on tensors against the reference (tests/golden).
#include "engine/diffusion/noise_schedule.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "engine/diffusion/diffusion.h"
#include "tests/golden/fixture.h"

namespace ddgan {
namespace {

using golden::Fixture;
using golden::MaxAbsDifference;

NoiseSchedule ScheduleOf(int steps) {
  DiffusionProcess config;
  config.num_timesteps = steps;
  return ComputeNoiseSchedule(config);
}

void ExpectSameBits(const std::vector<float>& actual,
                    const at::Tensor& expected, const std::string& name) {
  ASSERT_EQ(static_cast<int64_t>(actual.size()), expected.numel()) << name;
  EXPECT_EQ(std::memcmp(actual.data(), expected.const_data_ptr<float>(),
                        actual.size() * sizeof(float)),
            0)
      << name;
}

void ExpectClose(const std::vector<float>& actual, const at::Tensor& expected,
                 double relative, const std::string& name) {
  ASSERT_EQ(static_cast<int64_t>(actual.size()), expected.numel()) << name;
  for (size_t i = 0; i < actual.size(); ++i) {
    const double value = expected.const_data_ptr<float>()[i];
    EXPECT_NEAR(actual[i], value, relative * std::abs(value))
        << name << "[" << i << "]";
  }
}

TEST(NoiseScheduleGoldenTest, VpEqualsTheReferenceBitForBit) {
  const Fixture fixture("schedules");
  for (int steps : {1, 2, 4, 8}) {
    const std::string prefix = "vp.T" + std::to_string(steps) + ".";
    const NoiseSchedule schedule = ScheduleOf(steps);
    ExpectSameBits(schedule.betas, fixture[prefix + "betas"], prefix + "betas");
    ExpectSameBits(schedule.sigmas, fixture[prefix + "sigmas"],
                   prefix + "sigmas");
    ExpectSameBits(schedule.a, fixture[prefix + "a_s"], prefix + "a_s");
    ExpectSameBits(schedule.ac, fixture[prefix + "a_s_cum"],
                   prefix + "a_s_cum");
    ExpectSameBits(schedule.sc, fixture[prefix + "sigmas_cum"],
                   prefix + "sigmas_cum");
    ExpectSameBits(schedule.variance, fixture[prefix + "post.variance"],
                   prefix + "variance");
    ExpectSameBits(schedule.c1, fixture[prefix + "post.mean_coef1"],
                   prefix + "mean_coef1");
    ExpectSameBits(schedule.c2, fixture[prefix + "post.mean_coef2"],
                   prefix + "mean_coef2");
    // The wheel's log is up to an ulp off.
    ExpectClose(schedule.log_variance,
                fixture[prefix + "post.log_variance_clipped"], 2e-7,
                prefix + "log_variance");
  }
}

TEST(NoiseScheduleGoldenTest, GeometricMatchesWhereItIsUsable) {
  const Fixture fixture("schedules");
  const struct {
    const char* name;
    double beta_min, beta_max;
  } cases[] = {{"geo_0p01_0p99", 0.01, 0.99}, {"geo_3e-5_0p999", 3e-5, 0.999}};
  for (const auto& geometric : cases) {
    for (int steps : {1, 2, 4, 8}) {
      DiffusionProcess config;
      config.num_timesteps = steps;
      config.use_geometric = true;
      config.beta_min = geometric.beta_min;
      config.beta_max = geometric.beta_max;
      const NoiseSchedule schedule = ComputeNoiseSchedule(config);
      const std::string prefix =
          std::string(geometric.name) + ".T" + std::to_string(steps) + ".";
      ExpectClose(schedule.betas, fixture[prefix + "betas"], 2e-7, prefix);
      ExpectClose(schedule.ac, fixture[prefix + "a_s_cum"], 2e-6, prefix);
      // 1 - ac^2 cancels: the wheel's square root, an ulp off in one element of
      // a, shows up here as 1.6e-6.
      for (int i = 0; i <= steps; ++i) {
        EXPECT_NEAR(schedule.sc[i],
                    fixture[prefix + "sigmas_cum"][i].item<float>(), 2e-6)
            << prefix << i;
      }
      ExpectClose(schedule.c1, fixture[prefix + "post.mean_coef1"], 2e-6,
                  prefix);
    }
  }
}

TEST(NoiseScheduleTest, LastStepAddsNoNoise) {
  const NoiseSchedule schedule = ScheduleOf(4);
  EXPECT_EQ(schedule.stddev[0], 0.0f);
  EXPECT_EQ(schedule.c2[0], 0.0f);
  EXPECT_NEAR(schedule.c1[0], 1.0f, 2e-7);
}

TEST(DiffusionGoldenTest, NoisingAndPosteriorMatchTheReference) {
  const Fixture fixture("diffusion");
  for (int steps : {1, 2, 4, 8}) {
    const std::string prefix = "vp.T" + std::to_string(steps) + ".";
    const Diffusion diffusion(ScheduleOf(steps), at::kFloat);
    const at::Tensor& x0 = fixture[prefix + "q_sample.x0"];
    EXPECT_LT(
        MaxAbsDifference(diffusion.Diffuse(x0, fixture[prefix + "q_sample.t"],
                                           fixture[prefix + "q_sample.noise"]),
                         fixture[prefix + "q_sample.out"]),
        1e-6);
    const Diffusion::Pair pair = diffusion.DiffusePair(
        x0, fixture[prefix + "pairs.t"], fixture[prefix + "pairs.noise_step"],
        fixture[prefix + "pairs.noise_q_sample"]);
    EXPECT_LT(MaxAbsDifference(pair.x_t, fixture[prefix + "pairs.x_t"]), 1e-6);
    EXPECT_LT(MaxAbsDifference(pair.x_next, fixture[prefix + "pairs.x_tp1"]),
              1e-6);
    EXPECT_LT(MaxAbsDifference(
                  diffusion.Posterior(fixture[prefix + "posterior.x0_pred"],
                                      fixture[prefix + "posterior.x_tp1"],
                                      fixture[prefix + "posterior.t"],
                                      fixture[prefix + "posterior.noise"]),
                  fixture[prefix + "posterior.sample"]),
              1e-6);
  }
}

TEST(DiffusionTest, NoNoiseAtStepZeroIsTheImageItself) {
  const Diffusion diffusion(ScheduleOf(4), at::kFloat);
  const at::Tensor image = at::tensor({0.5f, -0.25f}).view({1, 2, 1, 1});
  const at::Tensor noise = at::tensor({3.0f, 4.0f}).view({1, 2, 1, 1});
  EXPECT_EQ(
      MaxAbsDifference(
          diffusion.Diffuse(image, at::tensor({int64_t{0}}), noise), image),
      0);
}

}  // namespace
}  // namespace ddgan
