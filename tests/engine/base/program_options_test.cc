#include "engine/base/program_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/fakes/temporary_folder.h"

namespace ddgan {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ProgramOptionsTest : public ::testing::Test {
 protected:
  absl::StatusOr<ProgramOptions> Parse(
      const std::vector<std::string>& arguments) {
    return ParseOptions(program_, table_, arguments, variables_);
  }

  std::string Refusal(const std::vector<std::string>& arguments) {
    const absl::Status status = Parse(arguments).status();
    EXPECT_EQ(status.code(), status.ok() ? absl::StatusCode::kOk
                                         : absl::StatusCode::kInvalidArgument);
    return std::string(status.message());
  }

  // Names a file with this text.
  std::string ConfigFile(const std::string& text) {
    WriteBytes(path(), text);
    return absl::StrCat("--config_file=", path());
  }
  std::string path() const { return (folder_.path() / "a.toml").string(); }

  const TemporaryFolder folder_;
  std::string root_;
  int count_ = 1;
  bool flip_ = false;
  bool list_ = false;
  std::vector<int> sizes_ = {1, 2};
  std::string device_ = "cpu";
  Program program_ = {.name = "ddgan-thing",
                      .environment = "DDGAN_THING_",
                      .usage = {"--model_root=DIR [flags]"},
                      .about = "Does a thing.\n"};
  std::vector<Option> table_ = {
      {"model_root", "Models", "DIR", &root_, kAny, "where"},
      {"count", "Models", "", &count_, Between(1, 64), "how many"},
      {"flip", "Other", "", &flip_, kAny, "mirrored"},
      {"list", "Other", "", &list_, kAny, "listed"},
      {"sizes", "Other", "", &sizes_, Between(1, 8), "of what"},
      {"device", "Other", "", OneOf(&device_, {"cpu", "cuda"}), kAny, "what"},
  };
  Environment variables_;
};

TEST_F(ProgramOptionsTest, TakesAValueAfterEqualsOrAsTheNextArgument) {
  ASSERT_EQ(Refusal({"--model_root=a=b", "--count", "64", "--flip",
                     "--sizes=3,4", "--device", "cuda"}),
            "");
  EXPECT_EQ(root_, "a=b");
  EXPECT_EQ(count_, 64);
  EXPECT_TRUE(flip_);
  EXPECT_FALSE(list_);
  EXPECT_THAT(sizes_, ElementsAre(3, 4));
  EXPECT_EQ(device_, "cuda");
  ASSERT_EQ(Refusal({"--model_root="}), "");
  EXPECT_EQ(root_, "");
  ASSERT_EQ(Refusal({"--model_root=x", "--model_root", "-"}), "");
  EXPECT_EQ(root_, "-");
}

TEST_F(ProgramOptionsTest, TakesASwitchAloneOrWithAValue) {
  ASSERT_EQ(Refusal({"--flip=true", "--list=false"}), "");
  EXPECT_TRUE(flip_);
  EXPECT_FALSE(list_);
  EXPECT_EQ(Refusal({"--flip=maybe"}),
            "--flip is maybe, must be one of: true, false (from the command "
            "line)");
  EXPECT_THAT(Refusal({"--flip="}), HasSubstr("--flip is \"\", must be one"));
  EXPECT_THAT(Refusal({"--noflip"}), HasSubstr("unknown flag --noflip"));
  program_.negations = true;
  ASSERT_EQ(Refusal({"--flip", "--noflip"}), "");
  EXPECT_FALSE(flip_);
  ASSERT_EQ(Refusal({"--noflip", "--flip=true"}), "");
  EXPECT_TRUE(flip_);
  ASSERT_EQ(Refusal({"--flip=false"}), "");
  EXPECT_FALSE(flip_);
}

TEST_F(ProgramOptionsTest, TakesDashesForUnderscoresInNamesOnly) {
  ASSERT_EQ(Refusal({"--model-root=a-b"}), "");
  EXPECT_EQ(root_, "a-b");
}

TEST_F(ProgramOptionsTest, LetsTheLastOfEqualFlagsCountButLooksAtAll) {
  ASSERT_EQ(Refusal({"--count=1", "--count=2"}), "");
  EXPECT_EQ(count_, 2);
  EXPECT_THAT(Refusal({"--count=x", "--count=2"}), HasSubstr("--count is x"));
}

TEST_F(ProgramOptionsTest, NamesWhatIsNoFlagOrHasNoValue) {
  EXPECT_EQ(Refusal({"--model_rot=x"}),
            "unknown flag --model_rot; did you mean --model_root?");
  EXPECT_EQ(Refusal({"--frobnicate", "5"}),
            "unknown flag --frobnicate; --help lists the flags");
  EXPECT_EQ(Refusal({"-count=5"}),
            "unknown flag -count; did you mean --count?");
  EXPECT_EQ(Refusal({"-4"}), "unknown flag -4; --help lists the flags");
  EXPECT_EQ(Refusal({"--=red"}), "unknown flag --; --help lists the flags");
  EXPECT_EQ(Refusal({"--flip", "--model_root"}),
            "--model_root needs a value, as --model_root=DIR");
  EXPECT_EQ(Refusal({"--model_root", "--count=3"}),
            "--model_root needs a value, as --model_root=DIR");
  EXPECT_EQ(Refusal({"seven"}),
            "unexpected argument 'seven'; flags begin with --, and --help "
            "lists them");
}

TEST_F(ProgramOptionsTest, TakesAsManyOperandsAsItMay) {
  program_.max_operands = 2;
  const auto options = Parse({"pin", "--count", "3", "mnist", "--flip"});
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_THAT(options->operands, ElementsAre("pin", "mnist"));
  EXPECT_EQ(count_, 3);
  EXPECT_THAT(Refusal({"a", "b", "c"}), HasSubstr("unexpected argument 'c'"));
}

TEST_F(ProgramOptionsTest, AfterTwoDashesThereAreNoFlags) {
  program_.max_operands = 2;
  const auto options = Parse({"--count", "3", "a", "--", "--help"});
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_THAT(options->operands, ElementsAre("a", "--help"));
  EXPECT_EQ(count_, 3);
  EXPECT_EQ(Refusal({"--"}), "");
  EXPECT_THAT(Parse({"--", "--"})->operands, ElementsAre("--"));
  EXPECT_THAT(Refusal({"a", "--", "b", "--c"}),
              HasSubstr("unexpected argument '--c'"));
  EXPECT_EQ(Refusal({"--model_root", "--", "x"}),
            "--model_root needs a value, as --model_root=DIR");
}

TEST_F(ProgramOptionsTest, NamesAVariableThatIsNoOptions) {
  variables_ = {{"DDGAN_THING_MODEL_ROT", "x"}};
  EXPECT_EQ(Refusal({}),
            "unknown environment variable DDGAN_THING_MODEL_ROT; did you mean "
            "--model_root?");
  variables_ = {{"DDGAN_THING_FROBNICATE", ""}};
  EXPECT_EQ(Refusal({}),
            "unknown environment variable DDGAN_THING_FROBNICATE; --help lists "
            "the flags");
  variables_ = {{"DDGAN_THING_count", "3"}};
  EXPECT_THAT(Refusal({}), HasSubstr("did you mean --count?"));
  variables_ = {{"DDGAN_THINGS_COUNT", "3"}, {"DDGAN_THIN_COUNT", "3"}};
  EXPECT_EQ(Refusal({}), "");
  variables_ = {{"DDGAN_THING_PAINT", "3"}};
  program_.is_known_elsewhere = [](absl::string_view name) {
    return name == "paint";
  };
  EXPECT_EQ(Refusal({}), "");
}

// In a pod beside a service that is called ddgan-thing.
TEST_F(ProgramOptionsTest, ToleratesWhatKubernetesSetsForAService) {
  variables_ = {{"DDGAN_THING_SERVICE_HOST", "10.0.0.1"},
                {"DDGAN_THING_SERVICE_PORT", "50051"},
                {"DDGAN_THING_SERVICE_PORT_GRPC", "50051"},
                {"DDGAN_THING_PORT", "tcp://10.0.0.1:50051"},
                {"DDGAN_THING_PORT_50051_TCP", "tcp://10.0.0.1:50051"},
                {"DDGAN_THING_PORT_50051_TCP_ADDR", "10.0.0.1"}};
  EXPECT_EQ(Refusal({}), "");
  variables_ = {{"DDGAN_THING_PORT_TCP", "x"}};
  EXPECT_THAT(Refusal({}), HasSubstr("unknown environment variable"));
}

TEST_F(ProgramOptionsTest, AnOptionMayHaveAnotherVariableAfterItsOwn) {
  program_.other_variables = {{"model_root", "THINGS"}};
  const std::string file = ConfigFile("model_root = \"f\"\n");
  variables_ = {{"THINGS", "other"}};
  ASSERT_EQ(Refusal({file}), "");
  EXPECT_EQ(root_, "other");
  variables_["DDGAN_THING_MODEL_ROOT"] = "own";
  ASSERT_EQ(Refusal({file}), "");
  EXPECT_EQ(root_, "own");
  ASSERT_EQ(Refusal({file, "--model_root=c"}), "");
  EXPECT_EQ(root_, "c");
}

TEST_F(ProgramOptionsTest,
       TheCommandLineComesBeforeTheEnvironmentAndThatFirst) {
  const std::string file =
      ConfigFile("model_root = \"f\"\ncount = 3\nflip = true\n");
  variables_ = {{"DDGAN_THING_MODEL_ROOT", "e"},
                {"DDGAN_THING_COUNT", "2"},
                {"DDGAN_THING_LIST", ""},
                {"DDGAN_SOMETHING_ELSE", "x"}};
  ASSERT_EQ(Refusal({"--model_root=c", file}), "");
  EXPECT_EQ(root_, "c");
  EXPECT_EQ(count_, 2);
  EXPECT_TRUE(flip_);
  EXPECT_FALSE(list_);
  EXPECT_THAT(sizes_, ElementsAre(1, 2));
}

TEST_F(ProgramOptionsTest, AVariableCanNameTheFile) {
  ConfigFile("count = 3\n");
  variables_ = {{"DDGAN_THING_CONFIG_FILE", path()}};
  ASSERT_EQ(Refusal({}), "");
  EXPECT_EQ(count_, 3);
}

TEST_F(ProgramOptionsTest, SaysWhereABadValueIsFrom) {
  EXPECT_EQ(Refusal({"--count=65"}),
            "--count is 65, must be a whole number in [1, 64] (from the "
            "command line)");
  variables_ = {{"DDGAN_THING_COUNT", "many"}};
  EXPECT_EQ(Refusal({}),
            "--count is many, must be a whole number in [1, 64] (from the "
            "environment variable DDGAN_THING_COUNT)");
  variables_.clear();
  EXPECT_EQ(Refusal({ConfigFile("count = 0")}),
            absl::StrCat("--count is 0, must be a whole number in [1, 64] "
                         "(from the file ",
                         path(), ")"));
}

TEST_F(ProgramOptionsTest, ReadsTomlAndIni) {
  ASSERT_EQ(Refusal({ConfigFile("# A comment.\n"
                                "\n"
                                "model_root = \"my models, all\"  # Another.\n"
                                "count=7\n"
                                "flip\n"
                                "sizes = [3, 4]\n"
                                "device = 'cuda'\n")}),
            "");
  EXPECT_EQ(root_, "my models, all");
  EXPECT_EQ(count_, 7);
  EXPECT_TRUE(flip_);
  EXPECT_THAT(sizes_, ElementsAre(3, 4));
  EXPECT_EQ(device_, "cuda");
  ASSERT_EQ(Refusal({ConfigFile("sizes = 5,6\nmodel_root = \"\"")}), "");
  EXPECT_THAT(sizes_, ElementsAre(5, 6));
  EXPECT_EQ(root_, "");
}

TEST_F(ProgramOptionsTest, NamesTheFileAndWhatIsWrongInIt) {
  const auto in_file = [this](const std::string& text) {
    const std::string refusal = Refusal({ConfigFile(text)});
    EXPECT_TRUE(absl::StartsWith(refusal, path() + ": ")) << refusal;
    return refusal.substr(std::min(refusal.size(), path().size() + 2));
  };
  EXPECT_EQ(in_file("model_rot = \"x\""),
            "unknown key model_rot; did you mean model_root?");
  EXPECT_EQ(in_file("config_file = \"x\""),
            "unknown key config_file; --help lists the flags");
  EXPECT_EQ(in_file("count = 1\nflip = true\ncount = 2"),
            "key count appears twice");
  EXPECT_EQ(in_file("[generate]\ncount = 1"), "unknown section generate");
  EXPECT_THAT(in_file("model_root = \"a#b\""),
              HasSubstr("key model_root has a quote that does not end"));
  EXPECT_THAT(in_file("model_root = my models"),
              HasSubstr("key model_root has several values"));
  EXPECT_THAT(Refusal({"--config_file=" + path() + ".none"}),
              HasSubstr("a.toml.none: No such file"));
  EXPECT_THAT(Refusal({"--config_file=" + folder_.path().string()}),
              HasSubstr("Is a directory"));
  EXPECT_THAT(Refusal({"--config_file="}),
              HasSubstr("--config_file is \"\", must not be empty"));
}

TEST_F(ProgramOptionsTest, ACommandReadsItsOwnSectionAndWhatIsForAll) {
  program_.section = "generate";
  program_.sections = {"generate", "bench"};
  const std::string file = ConfigFile(
      "model_root = \"all\"\n"
      "[bench]\nrate = 3\n"
      "[generate]\ncount = 5\n");
  ASSERT_EQ(Refusal({file}), "");
  EXPECT_EQ(root_, "all");
  EXPECT_EQ(count_, 5);
  EXPECT_THAT(HelpText(program_, table_), HasSubstr("[generate]"));
  EXPECT_THAT(Refusal({ConfigFile("[paint]\ncount = 5\n")}),
              HasSubstr("unknown section paint"));
}

TEST_F(ProgramOptionsTest, NamesWhatIsRequired) {
  table_[0].default_text = kRequired;
  EXPECT_EQ(Refusal({}), "--model_root is required, as --model_root=DIR");
  variables_ = {{"DDGAN_THING_MODEL_ROOT", "e"}};
  EXPECT_EQ(Refusal({}), "");
}

TEST_F(ProgramOptionsTest, HelpAndVersionNeedNothingElse) {
  table_[0].default_text = kRequired;
  EXPECT_EQ(Parse({"--count=0", "--help"})->text, HelpText(program_, table_));
  EXPECT_EQ(Parse({"--frobnicate", "-h"})->text, HelpText(program_, table_));
  program_.name = "ddgan generate";
  EXPECT_EQ(Parse({"--flip", "--version"})->text, VersionText("ddgan"));
  EXPECT_THAT(VersionText("ddgan"),
              ::testing::MatchesRegex("ddgan [0-9]+\\.[0-9]+\\.[0-9]+\n"));
}

TEST_F(ProgramOptionsTest, AnOptionVersionLeavesTheWordAloneToTheProgram) {
  table_[1].name = "version";
  EXPECT_EQ(Parse({"--version"})->text, VersionText("ddgan-thing"));
  EXPECT_EQ(Refusal({"--version", "3"}), "");
  EXPECT_EQ(count_, 3);
}

TEST_F(ProgramOptionsTest, HelpHasGroupsUnitsRangesAndDefaultsInEightyColumns) {
  table_[1].help =
      "a sentence that is so long that it does not fit into a line of eighty "
      "columns, and therefore has to be wrapped somewhere";
  program_.notes = "A note.\n";
  const std::string help = HelpText(program_, table_);
  EXPECT_TRUE(absl::StartsWith(help,
                               "usage: ddgan-thing --model_root=DIR [flags]\n"
                               "\n"
                               "Does a thing.\n"
                               "\n"
                               "Models:\n"
                               "  --model_root=DIR\n"
                               "      where\n"
                               "  --count=N  (in [1, 64]; default 1)\n"
                               "      a sentence that is so long"))
      << help;
  EXPECT_THAT(help, HasSubstr("\nOther:\n  --flip\n      mirrored\n"));
  EXPECT_THAT(help, HasSubstr("  --device=cpu|cuda  (default cpu)\n"));
  EXPECT_THAT(help, HasSubstr("\nGeneral:\n  --config_file=FILE\n"));
  EXPECT_THAT(help, HasSubstr("  --help\n"));
  EXPECT_THAT(help, HasSubstr("  --version\n"));
  EXPECT_THAT(help, HasSubstr("DDGAN_THING_MODEL_ROOT"));
  EXPECT_THAT(help, HasSubstr("A note.\n"));
  for (const absl::string_view line : absl::StrSplit(help, '\n')) {
    EXPECT_LE(line.size(), 80u) << line;
  }
}

}  // namespace
}  // namespace ddgan
