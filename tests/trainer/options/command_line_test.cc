#include "trainer/options/command_line.h"

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

// "name=text" of each flag.
std::vector<std::string> Flags(const std::vector<std::string>& arguments) {
  const absl::StatusOr<CommandLine> line = ParseCommandLine(arguments);
  if (!line.ok()) return {std::string(line.status().message())};
  std::vector<std::string> flags;
  for (const FlagValue& flag : line->flags)
    flags.push_back(flag.name + "=" + flag.text);
  return flags;
}

TEST(CommandLineTest, TakesAValueAfterEqualsOrAsTheNextArgument) {
  EXPECT_THAT(Flags({"--data=a=b", "--out", "root", "--seed", "-1", "--data="}),
              ElementsAre("data=a=b", "out=root", "seed=-1", "data="));
}

TEST(CommandLineTest, SwitchesNeedNoValue) {
  EXPECT_THAT(
      Flags({"--flip", "--no_lr_decay", "--nono_lr_decay", "--flip=false"}),
      ElementsAre("flip=true", "no_lr_decay=true", "no_lr_decay=false",
                  "flip=false"));
}

TEST(CommandLineTest, ConfigListAndHelpAreNoOptions) {
  const absl::StatusOr<CommandLine> line =
      ParseCommandLine({"--config", "cifar10", "--list", "--help=main"});
  ASSERT_TRUE(line.ok()) << line.status();
  EXPECT_EQ(line->config, "cifar10");
  EXPECT_TRUE(line->list);
  EXPECT_TRUE(line->help);
  EXPECT_THAT(line->flags, SizeIs(0));
}

TEST(CommandLineTest, NamesWhatIsNoFlagOrHasNoValue) {
  EXPECT_THAT(
      Flags({"--bach_size=3"}),
      ElementsAre("unknown flag --bach_size: did you mean batch_size?"));
  EXPECT_THAT(Flags({"--frobnicate", "5"}),
              ElementsAre("unknown flag --frobnicate: --help lists the flags"));
  EXPECT_THAT(Flags({"--data"}),
              ElementsAre("--data needs a value, as --data=..."));
  EXPECT_THAT(Flags({"--data", "--out=root"}),
              ElementsAre("--data needs a value, as --data=..."));
  EXPECT_THAT(Flags({"mnist"}),
              ElementsAre(HasSubstr("unexpected argument 'mnist'")));
}

TEST(CommandLineTest, HelpHasDefaultAndRangeInLinesOfAScreen) {
  const std::string help = HelpText();
  EXPECT_THAT(help, HasSubstr("  --ch_mult=1,2,2,2\n"));
  EXPECT_THAT(help, HasSubstr("  --lazy_reg=1\n      compute R1 every so many "
                              "steps (in [1, 1000000])\n"));
  const std::vector<std::string> lines = absl::StrSplit(help, '\n');
  for (const std::string& line : lines) EXPECT_LE(line.size(), 80u) << line;
}

}  // namespace
}  // namespace ddgan
