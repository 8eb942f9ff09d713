#include "trainer/options/train_command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_split.h"

namespace ddgan {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using ::testing::StartsWith;
using ::testing::UnorderedElementsAre;

// "name=text" of each flag.
std::vector<std::string> Flags(const std::vector<std::string>& arguments,
                               const Environment& environment = {}) {
  const absl::StatusOr<TrainCommandLine> line =
      ParseTrainCommandLine(arguments, environment);
  if (!line.ok()) return {std::string(line.status().message())};
  std::vector<std::string> flags;
  for (const GivenOption& flag : line->flags)
    flags.push_back(flag.name + "=" + flag.text);
  return flags;
}

TEST(TrainCommandLineTest, TakesAValueAfterEqualsOrAsTheNextArgument) {
  EXPECT_THAT(
      Flags({"--data=a=b", "--out", "root", "--seed", "-1", "--model="}),
      UnorderedElementsAre("data=a=b", "out=root", "seed=-1", "model="));
}

TEST(TrainCommandLineTest, SwitchesNeedNoValue) {
  EXPECT_THAT(
      Flags({"--flip", "--no_lr_decay", "--nono_lr_decay", "--flip=false"}),
      ElementsAre("flip=true", "flip=false", "no_lr_decay=true",
                  "no_lr_decay=false"));
}

TEST(TrainCommandLineTest, ConfigAndListAreNoOptionsOfARun) {
  const absl::StatusOr<TrainCommandLine> line =
      ParseTrainCommandLine({"--config", "cifar10", "--list"}, Environment());
  ASSERT_TRUE(line.ok()) << line.status();
  EXPECT_EQ(line->config, "cifar10");
  EXPECT_TRUE(line->list);
  EXPECT_EQ(line->text, "");
  EXPECT_THAT(line->flags, SizeIs(0));
}

TEST(TrainCommandLineTest, NamesWhatIsNoFlagOrHasNoValue) {
  EXPECT_THAT(
      Flags({"--bach_size=3"}),
      ElementsAre("unknown flag --bach_size; did you mean --batch_size?"));
  EXPECT_THAT(Flags({"--frobnicate", "5"}),
              ElementsAre("unknown flag --frobnicate; --help lists the flags"));
  EXPECT_THAT(Flags({"--data"}),
              ElementsAre("--data needs a value, as --data=PATH"));
  EXPECT_THAT(Flags({"--data", "--out=root"}),
              ElementsAre("--data needs a value, as --data=PATH"));
  EXPECT_THAT(Flags({"mnist"}),
              ElementsAre(HasSubstr("unexpected argument 'mnist'")));
}

TEST(TrainCommandLineTest, TheEnvironmentGivesFlagsAndTheConfigurationToo) {
  const Environment environment = {{"DDGAN_TRAIN_CONFIG", "mnist"},
                                   {"DDGAN_TRAIN_FLIP", "true"}};
  EXPECT_THAT(Flags({"--seed=3"}, environment),
              ElementsAre("seed=3", "flip=true"));
  EXPECT_EQ(ParseTrainCommandLine({}, environment)->config, "mnist");
  EXPECT_EQ(ParseTrainCommandLine({"--config=cifar10"}, environment)->config,
            "cifar10");
}

TEST(TrainCommandLineTest, HelpHasDefaultAndRangeInLinesOfAScreen) {
  const std::string help =
      ParseTrainCommandLine({"--seed=x", "--help"}, Environment())->text;
  EXPECT_THAT(help, HasSubstr("  --ch_mult=N[,N...]  (default 1,2,2,2)\n"));
  EXPECT_THAT(help, HasSubstr("  --lazy_reg=N  (in [1, 1000000]; default 1)\n"
                              "      compute R1 every so many steps\n"));
  const std::vector<std::string> lines = absl::StrSplit(help, '\n');
  for (const std::string& line : lines) EXPECT_LE(line.size(), 80u) << line;
  EXPECT_THAT(ParseTrainCommandLine({"--version"}, Environment())->text,
              StartsWith("ddgan-train "));
}

}  // namespace
}  // namespace ddgan
