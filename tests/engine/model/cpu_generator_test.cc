// The serving form of the generator against the reference's values.
#include "engine/model/cpu_generator.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/full.h>
#include <gtest/gtest.h>
#include <hwy/targets.h>

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

  // Image by image, or all at once.
  at::Tensor Run(const at::Tensor& x, const at::Tensor& t, const at::Tensor& z,
                 int64_t at_once = 1, int threads = 1) const {
    at::Tensor y = at::empty_like(x);
    const int64_t numel = x.numel() / x.size(0);
    kernels::Workspace workspace;
    kernels::ThreadPool pool(threads, /*least_work=*/0);
    std::vector<GeneratorRow> rows;
    for (int64_t b = 0; b < x.size(0); ++b) {
      rows.push_back({.x = x.const_data_ptr<float>() + b * numel,
                      .t = static_cast<int>(t[b].item<int64_t>()),
                      .z = z.const_data_ptr<float>() + b * z.size(1),
                      .x0 = y.mutable_data_ptr<float>() + b * numel});
      if (static_cast<int64_t>(rows.size()) == at_once || b + 1 == x.size(0)) {
        generator_.Run(rows, workspace, pool);
        rows.clear();
      }
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

TEST_P(CpuGeneratorGoldenTest, BytesDependOnNothingButTheRow) {
  const at::Tensor alone =
      Run(fixture_["in.x"], fixture_["in.t"], fixture_["in.z"]);
  for (const int64_t target : {HWY_SCALAR, HWY_AVX2, HWY_AVX3, HWY_NEON}) {
    hwy::SetSupportedTargetsForTest(0);
    if (target != HWY_SCALAR && (hwy::SupportedTargets() & target) == 0) {
      continue;
    }
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    for (const int threads : {1, 3, 8}) {
      for (const int64_t at_once : {1, 2, 64}) {
        EXPECT_EQ(
            MaxAbsDifference(alone, Run(fixture_["in.x"], fixture_["in.t"],
                                        fixture_["in.z"], at_once, threads)),
            0)
            << hwy::TargetName(target) << ", " << threads << " threads, "
            << at_once << " at once";
      }
    }
  }
  hwy::SetSupportedTargetsForTest(0);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

TEST_P(CpuGeneratorGoldenTest, AWarmRunAllocatesNoMemory) {
  const at::Tensor x = fixture_["in.x"], z = fixture_["in.z"];
  std::vector<float> y(static_cast<size_t>(x[0].numel()));
  const GeneratorRow row = {.x = x.const_data_ptr<float>(),
                            .t = 1,
                            .z = z.const_data_ptr<float>(),
                            .x0 = y.data()};
  kernels::Workspace workspace;
  kernels::ThreadPool pool(1);
  generator_.Run({&row, 1}, workspace, pool);
  const int64_t bytes = workspace.bytes();
  generator_.Run({&row, 1}, workspace, pool);
  EXPECT_EQ(workspace.bytes(), bytes);
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
