// The serving form of the generator against the reference's values.
#include "engine/model/cpu_generator.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/full.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "engine/diffusion/noise_schedule.h"
#include "tests/golden/fixture.h"

namespace ddgan {
namespace {

using golden::Fixture;
using golden::MaxAbsDifference;

class CpuGeneratorGoldenTest : public testing::TestWithParam<const char*> {
 protected:
  CpuGeneratorGoldenTest()
      : fixture_(GetParam()),
        config_(golden::ToModelConfig(fixture_.Metadata("config"))),
        generator_(Generator(
            config_, fixture_.Load("sd.", PlanGenerator(config_).parameters))) {
  }

  static void SetUpTestSuite() { at::set_num_threads(1); }

  // Image by image, as a lane does.
  at::Tensor Run(const at::Tensor& x, const at::Tensor& t,
                 const at::Tensor& z) const {
    at::Tensor y = at::empty_like(x);
    const int64_t numel = x.numel() / x.size(0);
    for (int64_t b = 0; b < x.size(0); ++b) {
      generator_.Run(x.const_data_ptr<float>() + b * numel,
                     static_cast<int>(t[b].item<int64_t>()),
                     z.const_data_ptr<float>() + b * z.size(1),
                     y.mutable_data_ptr<float>() + b * numel);
    }
    return y;
  }

  const Fixture fixture_;
  const ModelConfig config_;
  const CpuGenerator generator_;
};

TEST_P(CpuGeneratorGoldenTest, MatchesImages) {
  EXPECT_LT(MaxAbsDifference(
                Run(fixture_["in.x"], fixture_["in.t"], fixture_["in.z"]),
                fixture_["out.y"]),
            2e-5);
}

TEST_P(CpuGeneratorGoldenTest, GivesEqualBytesAgain) {
  const at::Tensor first =
      Run(fixture_["in.x"], fixture_["in.t"], fixture_["in.z"]);
  for (int repeat = 0; repeat < 5; ++repeat) {
    EXPECT_EQ(MaxAbsDifference(first, Run(fixture_["in.x"], fixture_["in.t"],
                                          fixture_["in.z"])),
              0);
  }
}

INSTANTIATE_TEST_SUITE_P(Fixtures, CpuGeneratorGoldenTest,
                         testing::Values("gen_small", "gen_tiny_none_none",
                                         "gen_tiny_outskip_inskip"));

// The reference's own sampling run, its noise included.
class CpuGeneratorChainTest : public CpuGeneratorGoldenTest {};

TEST_P(CpuGeneratorChainTest, FourStepChainMatches) {
  const NoiseSchedule schedule = ComputeNoiseSchedule(ProcessOf(config_));
  at::Tensor x = fixture_["chain.x_T"];
  for (int t = 3; t >= 0; --t) {
    const std::string step = std::to_string(t);
    const at::Tensor steps = at::full({x.size(0)}, t, at::kLong);
    const at::Tensor x0 = Run(x, steps, fixture_["chain.z." + step]);
    x = schedule.c1[t] * x0 + schedule.c2[t] * x +
        schedule.stddev[t] * fixture_["chain.noise." + step];
  }
  EXPECT_LT(MaxAbsDifference(x, fixture_["chain.out"]), 2e-5);
}

INSTANTIATE_TEST_SUITE_P(Fixtures, CpuGeneratorChainTest,
                         testing::Values("gen_small"));

}  // namespace
}  // namespace ddgan
