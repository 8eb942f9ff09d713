#include "trainer/step/denoising_chain.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "engine/diffusion/noise_schedule.h"
#include "engine/diffusion/update_rule.h"
#include "tests/golden/fixture.h"

namespace ddgan {
namespace {

using golden::MaxAbsDifference;

// Answers with a share of the state, and remembers what it was asked.
class HalvingNetworks : public Networks {
 public:
  at::Tensor Generate(const at::Tensor& x, const at::Tensor& t,
                      const at::Tensor& z) const override {
    steps.push_back(t[0].item<int64_t>());
    latents.push_back(z.clone());
    return 0.5 * x;
  }
  at::Tensor Discriminate(const at::Tensor& x, const at::Tensor&,
                          const at::Tensor&) const override {
    return x;
  }

  mutable std::vector<int64_t> steps;
  mutable std::vector<at::Tensor> latents;
};

DenoisingChain Sample(const Networks& networks, int num_timesteps,
                      bool is_denoiser,
                      const std::string& sampler = "ancestral", int kept = 5) {
  const SamplingPlan plan =
      PlanSampling(ParseUpdateRule(sampler, num_timesteps).value(),
                   ComputeNoiseSchedule({.num_timesteps = num_timesteps}));
  return SampleChain({networks, plan, {2, 1, 1, 3, num_timesteps}, is_denoiser},
                     /*seed=*/7, /*first_index=*/0, /*count=*/5, kept,
                     /*at_once=*/2, at::kCPU);
}

TEST(DenoisingChainTest, KeepsEveryStepOfAFew) {
  const HalvingNetworks networks;
  const DenoisingChain chain = Sample(networks, 4, false);
  ASSERT_EQ(chain.x.size(), 5u);
  ASSERT_EQ(chain.x0.size(), 4u);
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(chain.x[i].size(0), 5);
    EXPECT_EQ(MaxAbsDifference(chain.x0[i], 0.5 * chain.x[i]), 0);
  }
  // At the last step the posterior is x0'.
  EXPECT_LT(MaxAbsDifference(chain.x[4], chain.x0[3]), 1e-6);
}

TEST(DenoisingChainTest, KeepsEightStepsOfAThousand) {
  const HalvingNetworks networks;
  const DenoisingChain chain = Sample(networks, 1000, false);
  ASSERT_EQ(chain.x.size(), 9u);
  ASSERT_EQ(chain.x0.size(), 8u);
  for (size_t i = 0; i < 8; ++i)
    EXPECT_EQ(MaxAbsDifference(chain.x0[i], 0.5 * chain.x[i]), 0);
  // Three parts of at most two, each from the noisiest step to the last.
  ASSERT_EQ(networks.steps.size(), 3000u);
  EXPECT_EQ(networks.steps.front(), 999);
  EXPECT_EQ(networks.steps[999], 0);
}

TEST(DenoisingChainTest, OfMostSamplesOnlyTheEndIsKept) {
  const HalvingNetworks networks;
  const DenoisingChain all = Sample(networks, 4, false);
  for (const int kept : {0, 1, 3}) {
    const DenoisingChain some = Sample(networks, 4, false, "ancestral", kept);
    EXPECT_TRUE(some.x.back().equal(all.x.back()));
    ASSERT_EQ(some.x0.size(), kept == 0 ? 0u : 4u);
    ASSERT_EQ(some.x.size(), some.x0.size() + 1);
    for (size_t i = 0; i < some.x0.size(); ++i) {
      EXPECT_TRUE(some.x[i].equal(all.x[i].narrow(0, 0, kept)));
      EXPECT_TRUE(some.x0[i].equal(all.x0[i].narrow(0, 0, kept)));
    }
  }
}

TEST(DenoisingChainTest, OneStepIsAPlainGan) {
  const HalvingNetworks networks;
  const DenoisingChain chain = Sample(networks, 1, false);
  ASSERT_EQ(chain.x.size(), 2u);
  EXPECT_LT(MaxAbsDifference(chain.x[1], 0.5 * chain.x[0]), 1e-6);
}

TEST(DenoisingChainTest, TheLatentsOfADenoiserAreZero) {
  const HalvingNetworks gan, denoiser;
  const DenoisingChain a = Sample(gan, 4, false);
  const DenoisingChain b = Sample(denoiser, 4, true);
  for (const at::Tensor& z : denoiser.latents)
    EXPECT_TRUE(z.equal(at::zeros_like(z)));
  for (const at::Tensor& z : gan.latents)
    EXPECT_FALSE(z.eq(0).any().item<bool>());
  // All else is the same.
  EXPECT_EQ(MaxAbsDifference(a.x.back(), b.x.back()), 0);
}

// The best denoiser of normal data is linear and known.
class NormalDenoiser : public Networks {
 public:
  NormalDenoiser(int num_timesteps, double mean, double deviation)
      : schedule_(ComputeNoiseSchedule({.num_timesteps = num_timesteps})),
        mean_(mean),
        variance_(deviation * deviation) {}

  at::Tensor Generate(const at::Tensor& x, const at::Tensor& t,
                      const at::Tensor&) const override {
    const int64_t level = t[0].item<int64_t>() + 1;
    const double ac = schedule_.ac[level], sc = schedule_.sc[level];
    const double gain = ac * variance_ / (ac * ac * variance_ + sc * sc);
    return mean_ + gain * (x - ac * mean_);
  }
  at::Tensor Discriminate(const at::Tensor& x, const at::Tensor&,
                          const at::Tensor&) const override {
    return x;
  }

 private:
  const NoiseSchedule schedule_;
  const double mean_;
  const double variance_;
};

TEST(DenoisingChainTest, EveryRuleMakesNormalDataOfItsDenoiser) {
  constexpr int kSteps = 1000;
  const NormalDenoiser networks(kSteps, 0.4, 0.5);
  for (const char* sampler : {"ancestral", "ddim:1000", "pc"}) {
    const SamplingPlan plan =
        PlanSampling(ParseUpdateRule(sampler, kSteps).value(),
                     ComputeNoiseSchedule({.num_timesteps = kSteps}));
    const DenoisingChain chain =
        SampleChain({networks, plan, {1, 16, 16, 1, kSteps}, true},
                    /*seed=*/7, 0, /*count=*/16, 0, 16, at::kCPU);
    // 4096 values: standard errors of 0.008 and 0.011.
    const at::Tensor x = chain.x.back();
    EXPECT_NEAR(x.mean().item<double>(), 0.4, 0.04) << sampler;
    EXPECT_NEAR(x.std().item<double>(), 0.5, 0.03) << sampler;
  }
}

TEST(DenoisingChainTest, AnImageDoesNotDependOnItsCompany) {
  const NormalDenoiser networks(4, 0.4, 0.5);
  for (const char* sampler : {"ancestral", "ddim:3", "pc"}) {
    const SamplingPlan plan =
        PlanSampling(ParseUpdateRule(sampler, 4).value(),
                     ComputeNoiseSchedule({.num_timesteps = 4}));
    const ChainSource source = {networks, plan, {2, 3, 3, 1, 4}, true};
    const at::Tensor all =
        SampleChain(source, 7, 10, 6, 0, /*at_once=*/4, at::kCPU).x.back();
    const at::Tensor one =
        SampleChain(source, 7, 15, 1, 0, /*at_once=*/1, at::kCPU).x.back();
    EXPECT_LT(MaxAbsDifference(all.narrow(0, 5, 1), one), 1e-6) << sampler;
  }
}

}  // namespace
}  // namespace ddgan
