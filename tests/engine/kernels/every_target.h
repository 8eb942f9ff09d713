// Runs a test with the kernels of each instruction set that this processor has,
// and with the emulation for those that have no fused multiply-add.
#ifndef DDGAN_TESTS_ENGINE_KERNELS_EVERY_TARGET_H_
#define DDGAN_TESTS_ENGINE_KERNELS_EVERY_TARGET_H_

#include <gtest/gtest.h>
#include <hwy/targets.h>

#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace ddgan::kernels {

class EveryTarget : public testing::TestWithParam<int64_t> {
 protected:
  void SetUp() override { Force(GetParam()); }
  void TearDown() override { Force(0); }

 private:
  static void Force(int64_t target) {
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  }
};

inline std::vector<int64_t> Targets() {
  // Beside the emulation, what engine/kernels/CMakeLists.txt leaves.
  std::vector<int64_t> targets = {HWY_SCALAR};
  for (const int64_t target : {HWY_AVX2, HWY_AVX3, HWY_NEON}) {
    if ((hwy::SupportedTargets() & target) != 0) targets.push_back(target);
  }
  return targets;
}

inline std::string TargetTestName(const testing::TestParamInfo<int64_t>& info) {
  return hwy::TargetName(info.param);
}

#define DDGAN_ON_EVERY_TARGET(Suite)                                     \
  INSTANTIATE_TEST_SUITE_P(Targets, Suite, testing::ValuesIn(Targets()), \
                           TargetTestName)

// Values in [-1, 1].
inline std::vector<float> RandomFloats(int64_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> draw(-1, 1);
  std::vector<float> values;
  for (int64_t i = 0; i < count; ++i) values.push_back(draw(random));
  return values;
}

}  // namespace ddgan::kernels

#endif  // DDGAN_TESTS_ENGINE_KERNELS_EVERY_TARGET_H_
