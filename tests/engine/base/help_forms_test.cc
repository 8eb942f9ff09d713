#include "engine/base/help_forms.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "engine/base/manual_page.h"

namespace ddgan {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class HelpFormsTest : public ::testing::Test {
 protected:
  std::string Form(absl::string_view form) {
    const absl::StatusOr<std::string> text = HelpInForm(program_, table_, form);
    return text.ok() ? *text : std::string(text.status().message());
  }

  int count_ = 1;
  bool flip_ = false;
  std::string device_ = "cpu";
  std::string file_;
  Program program_ = {.name = "ddgan-thing",
                      .environment = "DDGAN_THING_",
                      .usage = {"strip|grid --out=DIR [flags]", "[flags]",
                                "pin MODEL VERSION [flags]"},
                      .about = "Does a thing.\n",
                      .summary = "do a thing"};
  std::vector<Option> table_ = {
      {"count", "Images", "", &count_, Between(1, 64),
       "how many; more are too many"},
      {"flip", "Images", "", &flip_, kAny, "mirrored. Or not"},
      {"device", "Other", "", OneOf(&device_, {"cpu", "cuda"}), kAny, "what"},
      {"guide", "Other", "FILE", &file_, kAny, "a file.png of it's own: [x]"},
  };
};

TEST_F(HelpFormsTest, FlagsAreFirstWordsAndALineForEachFlag) {
  EXPECT_EQ(Form("flags"),
            "strip\t\n"
            "grid\t\n"
            "pin\t\n"
            "--count=N\thow many\n"
            "--flip\tmirrored\n"
            "--device=cpu|cuda\twhat\n"
            "--guide=FILE\ta file.png of it's own: [x]\n"
            "--config_file=FILE\toptions from a file in TOML or INI, one a "
            "line: name = \"value\"\n"
            "--help\tprint what there is, and end\n"
            "--version\tprint the version, and end\n");
  program_.negations = true;
  EXPECT_THAT(Form("flags"), HasSubstr("--noflip\tnot: mirrored\n"));
}

TEST_F(HelpFormsTest, AVersionThatIsAnOptionStandsThereOnce) {
  table_[0].name = "version";
  EXPECT_THAT(Form("flags"),
              AllOf(HasSubstr("--version=N\t"), Not(HasSubstr("--version\t"))));
}

TEST_F(HelpFormsTest, UnknownFormsAreRefusedWithThoseThatThereAre) {
  EXPECT_EQ(Form("html"),
            "--help is html, must be one of: man, bash, zsh, flags");
  program_.name = "ddgan thing";
  for (const std::string form : {"", "bash", "zsh"}) {
    EXPECT_THAT(Form(form), HasSubstr("must be one of: man, flags"));
  }
  EXPECT_EQ(ParseOptions(program_, table_, {"--help=flags"}, {})->text,
            Form("flags"));
  EXPECT_FALSE(ParseOptions(program_, table_, {"--help=html"}, {}).ok());
}

TEST_F(HelpFormsTest, TheManualHasEveryFlagAndNothingThatRoffWouldObey) {
  program_.about = ".so /etc/passwd\n'quoted' and \\fBbold\\fR\n";
  const std::string page = Form("man");
  EXPECT_THAT(page, HasSubstr(".TH DDGAN\\-THING 1 "));
  EXPECT_THAT(page, HasSubstr("ddgan\\-thing \\- do a thing\n"));
  EXPECT_THAT(page, HasSubstr("\n\\&.so /etc/passwd \\(aqquoted\\(aq and "
                              "\\efBbold\\efR\n"));
  EXPECT_THAT(page,
              HasSubstr("\\fB\\-\\-count\\fR=\\fIN\\fR  (in [1, 64]; default "
                        "1)\n"));
  EXPECT_THAT(page, HasSubstr("DDGAN_THING_COUNT"));
  EXPECT_THAT(page, Not(HasSubstr("SEE ALSO")));
  program_.name = "ddgan thing";
  program_.section = "thing";
  program_.sections = {"other", "thing"};
  EXPECT_THAT(Form("man"), HasSubstr("\\fBddgan\\fR(1),\n"
                                     "\\fBddgan\\-other\\fR(1)\n"));
}

TEST(ManualTextTest, BlocksAreListsWhereTheyLookLikeSome) {
  EXPECT_EQ(ManualText("One\ntwo.\n\n  pin\n      What\n      it is.\n"),
            ".PP\nOne two.\n.TP\n\\fBpin\\fR\nWhat it is.\n");
  EXPECT_EQ(ManualText("  FD         a distance\n             of things\n"
                       "  recall     a share\n"),
            ".TP\n\\fBFD\\fR\na distance of things\n"
            ".TP\n\\fBrecall\\fR\na share\n");
  EXPECT_EQ(ManualText("Example:\n  ddgan x \\\n      --y=z\n"),
            ".PP\nExample:\n.PP\n.EX\nddgan x \\e\n    \\-\\-y=z\n.EE\n");
}

ProgramOfCommands Family() {
  return {.name = "ddgan",
          .summary = "ask for images",
          .about = "Asks for images.\n",
          .notes = "Exit code: 0 done.\n",
          .commands = {{"generate", "make images"}, {"bench", "send calls"}},
          .flags = [](const std::string& command) {
            return absl::StrCat("--of_", command, "=png|raw8\twhat's it\n");
          }};
}

TEST(ProgramOfCommandsTest, TheOverviewNamesEveryCommand) {
  EXPECT_EQ(OverviewText(Family()),
            "Asks for images.\n\n"
            "usage: ddgan COMMAND [flags]\n\n"
            "  generate     make images\n"
            "  bench        send calls\n\n"
            "Exit code: 0 done.\n");
}

TEST(ProgramOfCommandsTest, FormsAreOfAllCommands) {
  const std::string page = *HelpInForm(Family(), "man");
  EXPECT_THAT(page, HasSubstr("\\fBgenerate\\fR\nmake images\n"));
  EXPECT_THAT(page, HasSubstr("\\fBddgan\\-bench\\fR(1)\n"));
  EXPECT_THAT(page, Not(HasSubstr(".SH FLAGS")));
  for (const std::string shell : {"bash", "zsh"}) {
    const std::string script = *HelpInForm(Family(), shell);
    for (const std::string command : {"generate", "bench"}) {
      EXPECT_THAT(script, HasSubstr(absl::StrCat("--of_", command, "=")));
    }
  }
  EXPECT_EQ(HelpInForm(Family(), "flags").status().message(),
            "--help is flags, must be one of: man, bash, zsh");
}

}  // namespace
}  // namespace ddgan
