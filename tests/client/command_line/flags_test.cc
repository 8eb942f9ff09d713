#include "client/command_line/flags.h"

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ddgan {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

class FlagsTest : public ::testing::Test {
 protected:
  absl::Status Parse(const std::vector<std::string>& arguments) {
    return ParseFlags(arguments, flags_);
  }

  void ExpectRefused(const std::vector<std::string>& arguments,
                     const std::string& message) {
    const absl::Status status = Parse(arguments);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(status.message(), message);
  }

  std::string out_;
  bool grid_ = false;
  absl::Duration timeout_;
  absl::Duration pause_ = absl::Seconds(1);
  double share_ = 0.0;
  uint64_t count_ = 0;
  const std::vector<Flag> flags_ = {
      TextFlag("out_file", "PATH", "Where to.", &out_),
      SwitchFlag("grid", "All in one.", &grid_),
      DurationFlag("timeout", "How long.", &timeout_),
      NumberFlag("count", "How many.", 1, 64,
                 [this](uint64_t n) { count_ = n; }),
      DurationOrZeroFlag("pause", "How long not.", &pause_),
      FractionFlag("share", "SHARE", "Of what.", 0.0, 1.0, &share_),
  };
};

TEST_F(FlagsTest, TakesValuesAfterAnEqualsSignOrABlank) {
  ASSERT_TRUE(
      Parse({"--out_file=a=b", "--grid", "--count", "64", "--timeout=2m"})
          .ok());
  EXPECT_EQ(out_, "a=b");
  EXPECT_TRUE(grid_);
  EXPECT_EQ(count_, 64u);
  EXPECT_EQ(timeout_, absl::Minutes(2));
}

TEST_F(FlagsTest, TakesWhatIsNoFlagOnlyIfItIsWanted) {
  std::vector<std::string> operands;
  const std::vector<std::string> arguments = {"pin",   "--count", "3",
                                              "mnist", "--grid",  "4"};
  ASSERT_TRUE(ParseFlags(arguments, flags_, &operands).ok());
  EXPECT_EQ(operands, (std::vector<std::string>{"pin", "mnist", "4"}));
  EXPECT_EQ(count_, 3u);
  ExpectRefused(arguments, "'pin' is not a flag");
  EXPECT_EQ(ParseFlags({"-4"}, flags_, &operands).message(),
            "'-4' is not a flag");
}

TEST_F(FlagsTest, TakesDashesForUnderscoresInNamesOnly) {
  ASSERT_TRUE(Parse({"--out-file=a-b"}).ok());
  EXPECT_EQ(out_, "a-b");
}

TEST_F(FlagsTest, LetsTheLastOfEqualFlagsCount) {
  ASSERT_TRUE(Parse({"--count=1", "--count=2"}).ok());
  EXPECT_EQ(count_, 2u);
}

TEST_F(FlagsTest, TakesANumberAsSeconds) {
  ASSERT_TRUE(Parse({"--timeout=1.5"}).ok());
  EXPECT_EQ(timeout_, absl::Milliseconds(1500));
  ASSERT_TRUE(Parse({"--timeout=250ms"}).ok());
  EXPECT_EQ(timeout_, absl::Milliseconds(250));
}

TEST_F(FlagsTest, TakesZeroAndFractionsWhereTheyMakeSense) {
  ASSERT_TRUE(Parse({"--pause=0", "--share=0.25"}).ok());
  EXPECT_EQ(pause_, absl::ZeroDuration());
  EXPECT_EQ(share_, 0.25);
  ASSERT_TRUE(Parse({"--pause=250ms", "--share=1"}).ok());
  EXPECT_EQ(pause_, absl::Milliseconds(250));
}

TEST_F(FlagsTest, SaysWhatIsWrong) {
  ExpectRefused({"seven"}, "'seven' is not a flag");
  ExpectRefused({"-n"}, "'-n' is not a flag");
  ExpectRefused({"--"}, "'--' is not a flag");
  ExpectRefused({"--colour=red"}, "there is no flag --colour");
  ExpectRefused({"--=red"}, "there is no flag --");
  ExpectRefused({"--grid=yes"}, "--grid takes no value");
  ExpectRefused({"--grid", "--out_file"},
                "--out_file needs a value: --out_file=PATH");
  for (const std::string value :
       {"0", "65", "-1", "1.0", "", "many", "18446744073709551617"}) {
    ExpectRefused({"--count=" + value}, "--count=" + value +
                                            ": wanted a whole number from 1 "
                                            "to 64");
  }
  for (const std::string value : {"0", "-1s", "soon", "nan", ""}) {
    ExpectRefused({"--timeout=" + value},
                  "--timeout=" + value +
                      ": wanted a time above 0, such as 90s, 2m or 250ms");
  }
  for (const std::string value : {"-1s", "soon", "nan", ""}) {
    ExpectRefused(
        {"--pause=" + value},
        "--pause=" + value + ": wanted 0 or a time such as 90s, 2m or 250ms");
  }
  for (const std::string value : {"-0.1", "1.1", "nan", "half", ""}) {
    ExpectRefused({"--share=" + value},
                  "--share=" + value + ": wanted a number from 0 to 1");
  }
}

TEST_F(FlagsTest, HelpNamesEveryFlagWithinEightyColumns) {
  std::string target;
  const std::string help = FlagsHelp({
      TextFlag("long", "VALUE",
               "A sentence that is so long that it does not fit into a line of "
               "eighty columns, and therefore has to be wrapped somewhere.",
               &target),
      SwitchFlag("short", "Brief.", &grid_),
  });
  EXPECT_THAT(help, HasSubstr("  --long=VALUE\n      A sentence"));
  EXPECT_THAT(help, HasSubstr("  --short\n      Brief.\n"));
  for (const absl::string_view line : absl::StrSplit(help, '\n')) {
    EXPECT_LE(line.size(), 80u) << line;
  }
}

}  // namespace
}  // namespace ddgan
