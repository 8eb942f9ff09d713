#include "trainer/distributed/agreement.h"

#include <gtest/gtest.h>

#include <memory>

#include "tests/trainer/distributed/worker_processes.h"

namespace ddgan {
namespace {

class AgreementTest : public testing::TestWithParam<int> {};

TEST_P(AgreementTest, ProcessesAgreeOnNumbersFactsAndTheEnd) {
  for (const WorkerResult& result : RunWorkers("agreement", GetParam())) {
    EXPECT_TRUE(result.Succeeded()) << result.output;
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, AgreementTest, testing::Values(2, 3));

TEST(AgreementOfOneTest, OneProcessAgreesWithItself) {
  const auto group = ProcessGroup::Join(
      ProcessEnvironment(), CollectiveBackend::kGloo, absl::Seconds(10));
  ASSERT_TRUE(group.ok()) << group.status();
  EXPECT_EQ(LargestOf(**group, -3).value(), -3);
  EXPECT_EQ(SumOf(**group, -3).value(), -3);
  EXPECT_TRUE(CheckSameEverywhere(**group, {{"another size", "7"}}).ok());
  const absl::Status stopped = absl::CancelledError("stopped after step 3");
  EXPECT_EQ(AgreeOnEnd(**group, stopped), stopped);
}

}  // namespace
}  // namespace ddgan
