#include "engine/diffusion/update_rule.h"

#include <cmath>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ddgan {
namespace {

using ::testing::ElementsAre;

NoiseSchedule ScheduleOf(int num_timesteps) {
  return ComputeNoiseSchedule({.num_timesteps = num_timesteps});
}

SamplingPlan PlanOf(const std::string& name, int num_timesteps) {
  return PlanSampling(ParseUpdateRule(name, num_timesteps).value(),
                      ScheduleOf(num_timesteps));
}

// sqrt(acp) of level i, from the published process itself.
double AcOf(int level, int num_timesteps) {
  const auto alpha_bar = [&](int i) {
    const double tau =
        static_cast<double>(i) / num_timesteps * (1 - 1e-3) + 1e-3;
    return std::exp(-0.5 * tau * tau * 19.9 - tau * 0.1);
  };
  return std::sqrt(alpha_bar(level) / alpha_bar(0));
}

double ScOf(int level, int num_timesteps) {
  const double ac = AcOf(level, num_timesteps);
  return std::sqrt(1 - ac * ac);
}

std::vector<int> StepsOf(const SamplingPlan& plan) {
  std::vector<int> steps;
  for (auto move = plan.rbegin(); move != plan.rend(); ++move)
    steps.push_back(move->t);
  return steps;
}

TEST(ParseUpdateRuleTest, KnowsThreeRules) {
  EXPECT_EQ(ParseUpdateRule("ancestral", 4).value(),
            (UpdateRule{UpdateRule::Kind::kAncestral}));
  EXPECT_EQ(ParseUpdateRule("ddim:50", 1000).value(),
            (UpdateRule{UpdateRule::Kind::kDdim, 50}));
  EXPECT_EQ(ParseUpdateRule("pc", 1).value(),
            (UpdateRule{UpdateRule::Kind::kPredictorCorrector}));
}

TEST(ParseUpdateRuleTest, RefusesAllElseWithTheRange) {
  for (const char* name :
       {"", "ddim", "ddim:", "ddim:0", "ddim:05", "ddim:-1", "ddim:5",
        "ddim:2x", "ddim:99999999999", "Ancestral", "pc "}) {
    EXPECT_EQ(ParseUpdateRule(name, 4).status(),
              absl::InvalidArgumentError("must be ancestral, ddim:K with K in "
                                         "[1, 4], or pc"))
        << name;
  }
}

TEST(SamplingPlanTest, AncestralIsThePosteriorOfEveryStep) {
  for (const int steps : {1, 4, 1000}) {
    const NoiseSchedule schedule = ScheduleOf(steps);
    const SamplingPlan plan = PlanOf("ancestral", steps);
    ASSERT_EQ(plan.size(), static_cast<size_t>(steps));
    for (int t = 0; t < steps; ++t) {
      EXPECT_EQ(plan[t].t, t);
      EXPECT_FALSE(plan[t].corrects());
      EXPECT_EQ(plan[t].update.x0, schedule.c1[t]);
      EXPECT_EQ(plan[t].update.x, schedule.c2[t]);
      EXPECT_EQ(plan[t].update.noise, schedule.stddev[t]);
    }
    EXPECT_EQ(plan[0].update.noise, 0) << "an image is done without noise";
  }
}

TEST(SamplingPlanTest, DdimIsItsFormulaAtEvenlySpacedSteps) {
  const int steps = 1000;
  for (const int k : {1, 3, 50, 1000}) {
    const SamplingPlan plan = PlanOf("ddim:" + std::to_string(k), steps);
    ASSERT_EQ(plan.size(), static_cast<size_t>(k));
    EXPECT_EQ(plan.back().t, steps - 1);
    for (int i = 0; i < k; ++i) {
      const int from = plan[i].t + 1;
      const int to = i == 0 ? 0 : plan[i - 1].t + 1;
      EXPECT_NEAR(from - to, steps / k, 1) << k << " " << i;
      EXPECT_FALSE(plan[i].corrects());
      EXPECT_EQ(plan[i].update.noise, 0);
      // At x0' = 1 and x = ac + sc e the next state is ac + sc e of its level.
      const double x0 = 1, e = -0.7;
      const double x = AcOf(from, steps) * x0 + ScOf(from, steps) * e;
      EXPECT_NEAR(plan[i].update.x0 * x0 + plan[i].update.x * x,
                  AcOf(to, steps) * x0 + ScOf(to, steps) * e, 2e-4)
          << k << " " << i;
    }
    // The last step is x0' itself.
    EXPECT_EQ(plan[0].update.x0, 1);
    EXPECT_EQ(plan[0].update.x, 0);
  }
}

TEST(SamplingPlanTest, DdimTakesNamedSteps) {
  EXPECT_THAT(StepsOf(PlanOf("ddim:4", 1000)), ElementsAre(999, 749, 499, 249));
  EXPECT_THAT(StepsOf(PlanOf("ddim:3", 4)), ElementsAre(3, 1, 0));
}

TEST(SamplingPlanTest, PredictorCorrectorCorrectsEveryLevelButTheLast) {
  const int steps = 4;
  const NoiseSchedule schedule = ScheduleOf(steps);
  const SamplingPlan plan = PlanOf("pc", steps);
  EXPECT_THAT(StepsOf(plan), ElementsAre(3, 2, 2, 1, 1, 0, 0));
  for (size_t i = 0; i < plan.size(); ++i) {
    EXPECT_EQ(plan[i].corrects(), i % 2 == 1);
    const int t = plan[i].t;
    if (!plan[i].corrects()) {
      EXPECT_EQ(plan[i].update.x0, schedule.c1[t]);
      continue;
    }
    const Correction& correction = plan[i].correction;
    EXPECT_NEAR(correction.alpha, 1 - schedule.betas[t + 1], 1e-6);
    EXPECT_NEAR(correction.ac, AcOf(t + 1, steps), 1e-5);
    EXPECT_NEAR(correction.one_minus_acp,
                ScOf(t + 1, steps) * ScOf(t + 1, steps), 1e-5);
  }
  EXPECT_EQ(PlanOf("pc", 1).size(), 1u);
}

TEST(SamplingPlanTest, CountsItsEvaluations) {
  for (const char* name : {"ancestral", "ddim:7", "pc"}) {
    for (const int steps : {7, 1000}) {
      EXPECT_EQ(static_cast<size_t>(CountEvaluations(
                    ParseUpdateRule(name, steps).value(), steps)),
                PlanOf(name, steps).size())
          << name;
    }
  }
}

// The spec's formula of one correction, on an image of three values.
TEST(CorrectionUpdateTest, IsTheFormulaOfAnImage) {
  const double x[] = {0.5, -1.25, 2}, x0[] = {0.25, -0.5, 1},
               n[] = {1, -2, 0.5};
  const Correction correction = {0.75f, 0.6f, 0.64f};
  double n2 = 0, s2 = 0, r2 = 0;
  double s[3];
  for (int i = 0; i < 3; ++i) {
    const double r = x[i] - correction.ac * x0[i];
    s[i] = -r / correction.one_minus_acp;
    n2 += n[i] * n[i];
    s2 += s[i] * s[i];
    r2 += r * r;
  }
  const double ratio = 0.16 * std::sqrt(n2) / std::sqrt(s2);
  const double eps = 2 * correction.alpha * ratio * ratio;
  const LinearUpdate update = CorrectionUpdate(correction, n2, r2);
  for (int i = 0; i < 3; ++i) {
    EXPECT_NEAR(update.x0 * x0[i] + update.x * x[i] + update.noise * n[i],
                x[i] + eps * s[i] + std::sqrt(2 * eps) * n[i], 1e-6);
  }
}

TEST(CorrectionUpdateTest, AStateWithoutScoreStays) {
  const LinearUpdate update = CorrectionUpdate({0.75f, 0.6f, 0.64f}, 3, 0);
  EXPECT_EQ(update.x0, 0);
  EXPECT_EQ(update.x, 1);
  EXPECT_EQ(update.noise, 0);
}

// Data that is normal has a known best denoiser, which is linear, so the mean
// and the variance of what a rule makes of it follow exactly.
struct Moments {
  double mean;
  double variance;
};

Moments MomentsMade(const std::string& name, int steps, Moments data) {
  const NoiseSchedule schedule = ScheduleOf(steps);
  const SamplingPlan plan = PlanOf(name, steps);
  Moments x = {0, 1};
  for (auto move = plan.rbegin(); move != plan.rend(); ++move) {
    const double ac = schedule.ac[move->t + 1], sc = schedule.sc[move->t + 1];
    // E[x0 | x] = gain x + shift.
    const double gain =
        ac * data.variance / (ac * ac * data.variance + sc * sc);
    const double shift = data.mean - gain * ac * data.mean;
    LinearUpdate update = move->update;
    if (move->corrects()) {
      // Norms of an image of many values, per value.
      const double slope = 1 - ac * gain;
      const double residual_mean = slope * x.mean - ac * shift;
      update = CorrectionUpdate(
          move->correction, 1,
          slope * slope * x.variance + residual_mean * residual_mean);
    }
    const double slope = update.x0 * gain + update.x;
    x.mean = slope * x.mean + update.x0 * shift;
    x.variance = slope * slope * x.variance + update.noise * update.noise;
  }
  return x;
}

TEST(UpdateRuleTest, AThousandStepsMakeTheDataOfANormalDistribution) {
  for (const Moments data : {Moments{0.3, 0.25}, Moments{-0.5, 1},
                             Moments{0, 0.04}, Moments{1, 4}}) {
    for (const char* name : {"ancestral", "ddim:1000", "pc"}) {
      const Moments made = MomentsMade(name, 1000, data);
      EXPECT_NEAR(made.mean, data.mean, 0.02) << name;
      EXPECT_NEAR(made.variance / data.variance, 1, 0.05)
          << name << " " << data.variance;
    }
    // Fewer steps come less close.
    const Moments made = MomentsMade("ddim:100", 1000, data);
    EXPECT_NEAR(made.mean, data.mean, 0.02);
    EXPECT_NEAR(made.variance / data.variance, 1, 0.15);
  }
}

// One step of DDIM, or four of a plain denoiser, make too little of a spread:
// what a denoising diffusion GAN is for.
TEST(UpdateRuleTest, FewStepsOfADenoiserMakeTooLittleVariance) {
  EXPECT_LT(MomentsMade("ddim:1", 1000, {0, 1}).variance, 0.01);
  EXPECT_LT(MomentsMade("ancestral", 4, {0, 1}).variance, 0.5);
}

}  // namespace
}  // namespace ddgan
