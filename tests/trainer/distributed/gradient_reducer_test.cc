#include "trainer/distributed/gradient_reducer.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/variable.h>

#include "tests/fakes/manual_clock.h"
#include "tests/trainer/distributed/worker_processes.h"

namespace ddgan {
namespace {

using ::testing::HasSubstr;

TEST(GradientReducerTest, HooksNothingWithOneProcess) {
  const std::unique_ptr<ProcessGroup> group = *ProcessGroup::Join(
      ProcessEnvironment(), CollectiveBackend::kGloo, absl::Seconds(10));
  FlatParameters parameters({at::full({2}, 3.0f)}, at::kCPU);
  ManualClock clock;
  absl::StatusOr<std::unique_ptr<GradientReducer>> reducer =
      GradientReducer::Create(group.get(), &parameters,
                              GradientReducer::Options(), &clock);
  ASSERT_TRUE(reducer.ok()) << reducer.status();
  const at::Tensor& parameter = parameters.tensors()[0];
  EXPECT_EQ(torch::autograd::impl::post_acc_grad_hooks(parameter), nullptr);
  (*reducer)->Arm();
  torch::autograd::backward({parameter.square().sum()});
  EXPECT_TRUE((*reducer)->Wait().ok());
  EXPECT_EQ(parameters.gradient()[0].item<float>(), 6.0f);
  EXPECT_EQ((*reducer)->totals().sums, 0);
}

class ReducerProcessesTest : public testing::TestWithParam<int> {};

TEST_P(ReducerProcessesTest, GradientIsTheSumOverProcesses) {
  for (const WorkerResult& result : RunWorkers("reducer", GetParam())) {
    EXPECT_TRUE(result.Succeeded()) << result.output;
  }
}

TEST_P(ReducerProcessesTest, MisuseIsAnErrorAndNoWrongSum) {
  for (const WorkerResult& result :
       RunWorkers("reducer_refusals", GetParam())) {
    EXPECT_TRUE(result.Succeeded()) << result.output;
  }
}

TEST_P(ReducerProcessesTest, AKilledProcessMakesWaitFailWithUnavailable) {
  const int size = GetParam();
  const std::vector<WorkerResult> results =
      RunWorkers("reducer_last_is_killed", size);
  for (int rank = 0; rank < size - 1; ++rank) {
    EXPECT_TRUE(results[rank].Succeeded()) << results[rank].output;
    EXPECT_THAT(results[rank].output,
                HasSubstr("UNAVAILABLE: process group: a process is gone: "));
  }
  EXPECT_TRUE(WIFSIGNALED(results[size - 1].wait_status));
}

INSTANTIATE_TEST_SUITE_P(Sizes, ReducerProcessesTest, testing::Values(2, 3));

}  // namespace
}  // namespace ddgan
