#include "trainer/distributed/process_group.h"

#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include "tests/trainer/distributed/worker_processes.h"

namespace ddgan {
namespace {

using ::testing::AnyOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(ProcessGroupTest, OneProcessTalksToNobody) {
  // Neither an address nor a port.
  absl::StatusOr<std::unique_ptr<ProcessGroup>> group = ProcessGroup::Join(
      ProcessEnvironment(), CollectiveBackend::kNccl, absl::Seconds(10));
  ASSERT_TRUE(group.ok()) << group.status();
  EXPECT_EQ((*group)->rank(), 0);
  EXPECT_EQ((*group)->size(), 1);
  const at::Tensor tensor = at::full({3}, 7.0f);
  EXPECT_TRUE((*group)->BroadcastFromFirst(tensor).ok());
  EXPECT_TRUE((*group)->AllReduceSum(tensor).Wait().ok());
  EXPECT_TRUE(at::equal(tensor, at::full({3}, 7.0f)));
  EXPECT_THAT(*(*group)->AllGather(5), ElementsAre(5));
  EXPECT_TRUE((*group)->Barrier().ok());
}

TEST(ProcessGroupTest, RefusesATimeoutOutOfRange) {
  for (const absl::Duration timeout :
       {absl::ZeroDuration(), absl::Hours(25), absl::InfiniteDuration()}) {
    const absl::Status status =
        ProcessGroup::Join(ProcessEnvironment(), CollectiveBackend::kGloo,
                           timeout)
            .status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), HasSubstr("[1s, 24h]"));
  }
}

class ProcessesTest : public testing::TestWithParam<int> {};

TEST_P(ProcessesTest, BroadcastSumGatherAndMeet) {
  for (const WorkerResult& result : RunWorkers("collectives", GetParam())) {
    EXPECT_TRUE(result.Succeeded()) << result.output;
  }
}

TEST_P(ProcessesTest, ATensorThatIsRefusedDoesNotBreakTheGroup) {
  for (const WorkerResult& result : RunWorkers("refuses_tensor", GetParam())) {
    EXPECT_TRUE(result.Succeeded()) << result.output;
  }
}

TEST_P(ProcessesTest, AKilledProcessMakesTheOthersFailWithUnavailable) {
  const int size = GetParam();
  const std::vector<WorkerResult> results = RunWorkers("last_is_killed", size);
  for (int rank = 0; rank < size - 1; ++rank) {
    EXPECT_TRUE(results[rank].Succeeded())
        << "status " << results[rank].wait_status << ": "
        << results[rank].output;
    EXPECT_THAT(results[rank].output,
                HasSubstr("UNAVAILABLE: process group: a process is gone: "));
  }
  EXPECT_TRUE(WIFSIGNALED(results[size - 1].wait_status));
}

TEST_P(ProcessesTest, AHungProcessMakesTheOthersFailAfterTheTimeout) {
  const int size = GetParam();
  const int port = FreePort();
  std::vector<std::unique_ptr<WorkerProcess>> workers;
  for (int rank = 0; rank < size; ++rank) {
    workers.push_back(
        std::make_unique<WorkerProcess>("last_hangs", rank, size, port));
  }
  int timed_out = 0;
  for (int rank = 0; rank < size - 1; ++rank) {
    const WorkerResult result = workers[rank]->Wait();
    EXPECT_TRUE(result.Succeeded()) << result.output;
    // Whose time runs out first cuts the others off.
    EXPECT_THAT(result.output, AnyOf(HasSubstr("DEADLINE_EXCEEDED: "),
                                     HasSubstr("UNAVAILABLE: ")));
    if (result.output.find("no answer from another process within 10s") !=
        std::string::npos) {
      ++timed_out;
    }
  }
  EXPECT_GE(timed_out, 1);
}

INSTANTIATE_TEST_SUITE_P(Sizes, ProcessesTest, testing::Values(2, 3));

// torchrun's agent listens at the master's port before the processes start, and
// goes on when they are started again.
TEST(ProcessGroupJoinTest, MeetsInTheStoreOfTheLauncherAgainAfterARestart) {
  c10d::TCPStoreOptions options;
  options.port = 0;  // Any.
  options.isServer = true;
  options.waitWorkers = false;
  const c10d::TCPStore launcher("127.0.0.1", options);
  for (const char* restart_count : {"0", "1"}) {
    for (const WorkerResult& result : RunWorkers(
             "collectives", 2, launcher.getPort(),
             {"TORCHELASTIC_USE_AGENT_STORE=True", "TORCHELASTIC_RUN_ID=run",
              std::string("TORCHELASTIC_RESTART_COUNT=") + restart_count})) {
      EXPECT_TRUE(result.Succeeded()) << result.output;
    }
  }
}

TEST(ProcessGroupJoinTest, NamesTheProcessThatIsMissing) {
  const int port = FreePort();
  WorkerProcess first("join", 0, 3, port);
  WorkerProcess second("join", 1, 3, port);
  const WorkerResult result = first.Wait();
  EXPECT_TRUE(result.Succeeded()) << result.output;
  EXPECT_THAT(
      result.output,
      HasSubstr("DEADLINE_EXCEEDED: process group: rank 2 of 3 processes did "
                "not join at MASTER_ADDR=127.0.0.1 MASTER_PORT=" +
                std::to_string(port) + " within 10s"));
  // Rank 0's time may run out first, and with it the place to meet is gone.
  EXPECT_THAT(second.Wait().output,
              AnyOf(HasSubstr("rank 2 of 3 processes did not join"),
                    HasSubstr("left while others were joining"),
                    HasSubstr("rank 1 cannot reach rank 0")));
}

TEST(ProcessGroupJoinTest, SaysThatRank0IsMissing) {
  const int port = FreePort();
  const WorkerResult result = WorkerProcess("join", 1, 2, port).Wait();
  EXPECT_TRUE(result.Succeeded()) << result.output;
  EXPECT_THAT(result.output,
              HasSubstr("DEADLINE_EXCEEDED: process group: rank 1 cannot reach "
                        "rank 0: nobody listened at MASTER_ADDR=127.0.0.1 "
                        "MASTER_PORT=" +
                        std::to_string(port) + " for 10s: Connection refused"));
}

TEST(ProcessGroupJoinTest, RefusesTwoProcessesOfTheSameRank) {
  const int port = FreePort();
  WorkerProcess first("join", 0, 3, port);
  WorkerProcess second("join", 1, 3, port);
  WorkerProcess third("join", 1, 3, port);
  EXPECT_THAT(second.Wait().output + third.Wait().output,
              HasSubstr("INVALID_ARGUMENT: process group: two processes claim "
                        "to be rank 1 of 3"));
}

TEST(ProcessGroupJoinTest, RefusesProcessesThatWereToldDifferentSizes) {
  const int port = FreePort();
  WorkerProcess first("join", 0, 3, port);
  WorkerProcess second("join", 1, 2, port);
  EXPECT_THAT(second.Wait().output,
              HasSubstr("INVALID_ARGUMENT: process group: rank 1 was told of 2 "
                        "processes, rank 0 of 3"));
}

}  // namespace
}  // namespace ddgan
