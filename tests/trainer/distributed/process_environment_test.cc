#include "trainer/distributed/process_environment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace ddgan {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

using Variables = std::map<std::string, std::string>;

absl::StatusOr<ProcessEnvironment> Read(const Variables& variables) {
  return ReadProcessEnvironment(
      [&](const char* name) -> std::optional<std::string> {
        const auto found = variables.find(name);
        if (found == variables.end()) return std::nullopt;
        return found->second;
      });
}

Variables With(Variables variables, const std::string& name,
               const std::string& value) {
  variables[name] = value;
  return variables;
}

Variables Without(Variables variables, const std::string& name) {
  variables.erase(name);
  return variables;
}

const Variables& Torchrun() {
  static const auto* variables =
      new Variables{{"RANK", "5"},
                    {"WORLD_SIZE", "8"},
                    {"LOCAL_RANK", "1"},
                    {"MASTER_ADDR", "node-0.cluster.local"},
                    {"MASTER_PORT", "29500"}};
  return *variables;
}

TEST(ProcessEnvironmentTest, IsOneProcessWhenNothingIsSet) {
  const absl::StatusOr<ProcessEnvironment> read = Read({});
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->rank, 0);
  EXPECT_EQ(read->size, 1);
  EXPECT_EQ(read->local_rank, 0);
}

TEST(ProcessEnvironmentTest, AVariableSetToNothingCountsAsNotSet) {
  const absl::StatusOr<ProcessEnvironment> read =
      Read({{"RANK", ""}, {"WORLD_SIZE", ""}, {"MASTER_ADDR", ""}});
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->size, 1);
}

TEST(ProcessEnvironmentTest, ReadsWhatTorchrunSets) {
  const absl::StatusOr<ProcessEnvironment> read = Read(Torchrun());
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->rank, 5);
  EXPECT_EQ(read->size, 8);
  EXPECT_EQ(read->local_rank, 1);
  EXPECT_EQ(read->master_address, "node-0.cluster.local");
  EXPECT_EQ(read->master_port, 29500);
}

TEST(ProcessEnvironmentTest, KnowsWhenTorchrunKeepsTheStore) {
  Variables variables = Torchrun();
  EXPECT_EQ(Read(variables)->launcher_store_prefix, std::nullopt);
  variables["TORCHELASTIC_RUN_ID"] = "night/7";
  variables["TORCHELASTIC_RESTART_COUNT"] = "2";
  variables["TORCHELASTIC_USE_AGENT_STORE"] = "False";
  EXPECT_EQ(Read(variables)->launcher_store_prefix, std::nullopt);
  variables["TORCHELASTIC_USE_AGENT_STORE"] = "True";
  EXPECT_EQ(Read(variables)->launcher_store_prefix, "ddgan/night/7/2");
}

TEST(ProcessEnvironmentTest,
     TorchrunWinsOverTheSlurmOrKubernetesThatStartedIt) {
  Variables variables = Torchrun();
  variables["SLURM_PROCID"] = "0";
  variables["SLURM_STEP_NUM_TASKS"] = "2";
  variables["SLURM_LOCALID"] = "0";
  variables["JOB_COMPLETION_INDEX"] = "1";
  const absl::StatusOr<ProcessEnvironment> read = Read(variables);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->rank, 5);
  EXPECT_EQ(read->size, 8);
  EXPECT_EQ(read->local_rank, 1);
}

TEST(ProcessEnvironmentTest, ReadsWhatSrunSets) {
  const absl::StatusOr<ProcessEnvironment> read =
      Read({{"SLURM_PROCID", "3"},
            {"SLURM_NTASKS", "8"},  // Of the job; the step may be smaller.
            {"SLURM_STEP_NUM_TASKS", "4"},
            {"SLURM_LOCALID", "1"},
            {"MASTER_ADDR", "10.0.0.1"},
            {"MASTER_PORT", "1234"}});
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->rank, 3);
  EXPECT_EQ(read->size, 4);
  EXPECT_EQ(read->local_rank, 1);
  EXPECT_EQ(read->master_address, "10.0.0.1");
}

TEST(ProcessEnvironmentTest, ASlurmJobWithoutSrunIsOneProcess) {
  const Variables shell = {{"SLURM_NTASKS", "4"}};
  const Variables batch_script = {
      {"SLURM_NTASKS", "4"}, {"SLURM_PROCID", "0"}, {"SLURM_LOCALID", "0"}};
  for (const Variables& variables :
       {shell, batch_script, Without(batch_script, "SLURM_NTASKS")}) {
    const absl::StatusOr<ProcessEnvironment> read = Read(variables);
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(read->size, 1);
  }
}

TEST(ProcessEnvironmentTest, TakesTheIndexOfAKubernetesJobAsRank) {
  const absl::StatusOr<ProcessEnvironment> read =
      Read({{"JOB_COMPLETION_INDEX", "2"},
            {"WORLD_SIZE", "3"},
            {"MASTER_ADDR", "train-0.train"},
            {"MASTER_PORT", "29500"}});
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->rank, 2);
  EXPECT_EQ(read->size, 3);
  EXPECT_EQ(read->local_rank, 0);
}

TEST(ProcessEnvironmentTest, OneProcessNeedsNoMaster) {
  for (const Variables& variables :
       {Variables{{"RANK", "0"}, {"WORLD_SIZE", "1"}},
        Variables{{"SLURM_PROCID", "0"}, {"SLURM_STEP_NUM_TASKS", "1"}},
        Variables{{"JOB_COMPLETION_INDEX", "0"}, {"WORLD_SIZE", "1"}}}) {
    const absl::StatusOr<ProcessEnvironment> read = Read(variables);
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(read->size, 1);
  }
}

struct Refusal {
  const char* what;
  Variables variables;
  // Parts of the sentence: variable, value, allowed range.
  std::string name;
  std::string value;
  std::string allowed;
};

TEST(ProcessEnvironmentTest, RefusesWithASentenceThatNamesVariableValueRange) {
  const Variables slurm = {{"SLURM_PROCID", "3"},
                           {"SLURM_STEP_NUM_TASKS", "4"}};
  const std::vector<Refusal> refusals = {
      {"rank beyond the last", With(Torchrun(), "RANK", "8"), "RANK=", "\"8\"",
       "[0, 7]"},
      {"negative rank", With(Torchrun(), "RANK", "-1"), "RANK=", "\"-1\"",
       "[0, 7]"},
      {"rank no number", With(Torchrun(), "RANK", "two"), "RANK=", "\"two\"",
       "[0, 7]"},
      {"no process", With(Torchrun(), "WORLD_SIZE", "0"),
       "WORLD_SIZE=", "\"0\"", "[1, 4096]"},
      {"too many processes", With(Torchrun(), "WORLD_SIZE", "99999999999"),
       "WORLD_SIZE=", "\"99999999999\"", "[1, 4096]"},
      {"local rank beyond the last", With(Torchrun(), "LOCAL_RANK", "8"),
       "LOCAL_RANK=", "\"8\"", "[0, 7]"},
      {"port beyond the last", With(Torchrun(), "MASTER_PORT", "65536"),
       "MASTER_PORT=", "\"65536\"", "[1, 65535]"},
      {"port of no meaning", With(Torchrun(), "MASTER_PORT", "0"),
       "MASTER_PORT=", "\"0\"", "[1, 65535]"},
      {"address with blanks", With(Torchrun(), "MASTER_ADDR", "a b\n"),
       "MASTER_ADDR=", "\"a b\\n\"", "host name or an IP address"},
      {"endless address",
       With(Torchrun(), "MASTER_ADDR", std::string(5000, 'a')),
       "MASTER_ADDR=", "aaa...", "253"},
      {"no address", Without(Torchrun(), "MASTER_ADDR"),
       "MASTER_ADDR is not set", "8 processes", "host name or IP address"},
      {"no port", Without(Torchrun(), "MASTER_PORT"), "MASTER_PORT is not set",
       "8 processes", "[1, 65535]"},
      {"no size", Without(Torchrun(), "WORLD_SIZE"), "WORLD_SIZE is not set",
       "RANK=\"5\"", "[1, 4096]"},
      {"no rank", Without(Torchrun(), "RANK"), "RANK is not set",
       "WORLD_SIZE=\"8\"", "[0, WORLD_SIZE - 1]"},
      {"address alone",
       {{"MASTER_ADDR", "a"}},
       "RANK is not set",
       "MASTER_ADDR=\"a\"",
       "unset MASTER_ADDR"},
      {"size under Slurm", With(slurm, "WORLD_SIZE", "4"), "RANK is not set",
       "WORLD_SIZE=\"4\"", "unset WORLD_SIZE"},
      {"Slurm without a master", slurm, "MASTER_ADDR is not set", "4 processes",
       "host name or IP address"},
      {"index without a size",
       {{"JOB_COMPLETION_INDEX", "1"}},
       "WORLD_SIZE is not set",
       "JOB_COMPLETION_INDEX=\"1\"",
       "[1, 4096]"},
      {"index beyond the size",
       {{"JOB_COMPLETION_INDEX", "2"}, {"WORLD_SIZE", "2"}},
       "JOB_COMPLETION_INDEX=",
       "\"2\"",
       "[0, 1]"}};
  for (const Refusal& refusal : refusals) {
    SCOPED_TRACE(refusal.what);
    const absl::StatusOr<ProcessEnvironment> read = Read(refusal.variables);
    EXPECT_EQ(read.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(read.status().message()),
                AllOf(HasSubstr(refusal.name), HasSubstr(refusal.value),
                      HasSubstr(refusal.allowed)));
  }
}

}  // namespace
}  // namespace ddgan
