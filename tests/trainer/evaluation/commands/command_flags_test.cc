// The environment is one for all commands: a variable for one must not stop
// another.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "trainer/evaluation/commands/figure_data_command.h"
#include "trainer/evaluation/commands/modes_command.h"
#include "trainer/evaluation/commands/nearest_command.h"
#include "trainer/evaluation/commands/quality_command.h"
#include "trainer/evaluation/commands/speed_command.h"
#include "trainer/evaluation/commands/trilemma_command.h"

namespace ddgan {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// Of lines that begin with "  --name".
std::set<std::string> FlagsIn(const std::string& help) {
  std::set<std::string> flags;
  for (const absl::string_view line : absl::StrSplit(help, '\n')) {
    if (line.substr(0, 4) != "  --") continue;
    const absl::string_view rest = line.substr(4);
    flags.insert(std::string(rest.substr(0, rest.find_first_of("= "))));
  }
  return flags;
}

TEST(CommandFlagsTest, AVariableOfOneCommandIsKnownToAll) {
  const std::vector<std::string> help = {"--help"};
  const Environment none;
  const CommandInput input = {help, none};
  std::set<std::string> flags;
  for (const std::string& text :
       {ParseQuality(input)->text, ParseModes(input)->text,
        ParseNearest(input)->text, ParseSpeed(input)->text,
        ParseTrilemma(input)->text, ParseFigureData(input)->text}) {
    flags.merge(FlagsIn(text));
  }
  ASSERT_GE(flags.size(), 30u);
  const std::vector<std::string> grid = {"grid", "--model=r/m/1", "--out=o"};
  const auto error = [&](const std::string& flag) {
    const Environment environment = {
        {absl::StrCat("DDGAN_EVALUATE_", absl::AsciiStrToUpper(flag)), "1"}};
    return std::string(ParseFigureData({grid, environment}).status().message());
  };
  for (const std::string& flag : flags) {
    if (flag == "config_file" || flag == "help" || flag == "version") continue;
    EXPECT_THAT(error(flag), Not(HasSubstr("unknown environment variable")))
        << flag;
  }
  EXPECT_THAT(error("smaples"), HasSubstr("unknown environment variable"));
}

}  // namespace
}  // namespace ddgan
