#include "client/command_line.h"

#include <cstdint>
#include <limits>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ddgan {
namespace {

using ::testing::HasSubstr;

absl::StatusOr<Command> Parse(const std::vector<std::string>& arguments) {
  return ParseCommandLine(arguments, "default:1");
}

GenerateCommand ParseGenerate(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "generate");
  const absl::StatusOr<Command> command = Parse(arguments);
  EXPECT_TRUE(command.ok()) << command.status();
  return std::get<GenerateCommand>(*command);
}

void ExpectRefused(const std::vector<std::string>& arguments,
                   const std::string& reason) {
  const absl::Status status = Parse(arguments).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr(reason));
  EXPECT_THAT(std::string(status.message()), HasSubstr("--help"));
}

TEST(CommandLineTest, LeavesUnsetWhatTheServerDecides) {
  const GenerateCommand command = ParseGenerate({});
  EXPECT_EQ(command.server.address, "default:1");
  EXPECT_EQ(command.server.timeout, absl::Minutes(5));
  EXPECT_EQ(command.count, 1u);
  EXPECT_FALSE(command.grid);
  EXPECT_FALSE(command.stream);
  EXPECT_FALSE(command.previews);
  EXPECT_EQ(command.out, "");
  EXPECT_FALSE(command.request.has_seed());
  EXPECT_FALSE(command.request.has_version());
  EXPECT_EQ(command.request.ByteSizeLong(), 0u);
}

TEST(CommandLineTest, ReadsEveryFlagOfGenerate) {
  const GenerateCommand command = ParseGenerate(
      {"--server=host:2", "--timeout=90s", "--count=1000",
       "--seed=18446744073709551615", "--first-index=12", "--model=mnist",
       "--version=9223372036854775807", "--format=float32", "--class=batch",
       "--stream", "--previews", "--preview_dir=steps", "--out=folder/"});
  EXPECT_EQ(command.server.address, "host:2");
  EXPECT_EQ(command.server.timeout, absl::Seconds(90));
  EXPECT_EQ(command.count, 1000u);
  EXPECT_EQ(command.request.seed(), std::numeric_limits<uint64_t>::max());
  EXPECT_EQ(command.request.first_index(), 12u);
  EXPECT_EQ(command.request.model(), "mnist");
  EXPECT_EQ(command.request.version(), std::numeric_limits<int64_t>::max());
  EXPECT_EQ(command.request.format(), v1::OUTPUT_FORMAT_FLOAT32);
  EXPECT_EQ(command.request.request_class(), v1::REQUEST_CLASS_BATCH);
  EXPECT_TRUE(command.stream);
  EXPECT_TRUE(command.previews);
  EXPECT_EQ(command.preview_dir, "steps");
  EXPECT_EQ(command.out, "folder/");
  EXPECT_EQ(ParseGenerate({"--class=interactive"}).request.request_class(),
            v1::REQUEST_CLASS_INTERACTIVE);
}

TEST(CommandLineTest, TellsSeedZeroFromNoSeed) {
  EXPECT_TRUE(ParseGenerate({"--seed=0"}).request.has_seed());
}

TEST(CommandLineTest, RefusesWhatNoServerCouldDo) {
  ExpectRefused({"generate", "--count=0"}, "wanted a whole number from 1");
  ExpectRefused({"generate", "--version=0"}, "--version=0");
  ExpectRefused({"generate", "--seed=-1"}, "--seed=-1");
  ExpectRefused({"generate", "--format=jpeg"}, "wanted png, raw8 or float32");
  ExpectRefused({"generate", "--grid", "--format=raw8"}, "--grid writes a PNG");
  ExpectRefused({"generate", "--first_index=4294967295", "--count=2"},
                "the last index must be at most 4294967295");
  EXPECT_EQ(ParseGenerate({"--first_index=4294967295"}).count, 1u);
  ExpectRefused({"generate", "--class=lazy"}, "wanted interactive or batch");
  ExpectRefused({"generate", "--previews"}, "--previews needs --stream");
  ExpectRefused({"generate", "--stream", "--preview_dir=a"},
                "--preview_dir needs --previews");
  ExpectRefused(
      {"generate", "--stream", "--previews", "--preview_dir=a", "--grid"},
      "--grid keeps no previews");
}

TEST(CommandLineTest, RefusesWhatIsNoCommand) {
  ExpectRefused({}, "which command?");
  ExpectRefused({"paint"}, "there is no command 'paint'");
  ExpectRefused({"--count=1"}, "there is no command '--count=1'");
  ExpectRefused({"models", "--count=1"}, "no flag --count");
  ExpectRefused({"health", "now"}, "'now' is not a flag");
}

TEST(CommandLineTest, ReadsModelsAndHealth) {
  EXPECT_EQ(std::get<ModelsCommand>(*Parse({"models"})).server.address,
            "default:1");
  const auto health = std::get<HealthCommand>(
      *Parse({"health", "--server=h:3", "--service=ddgan.v1.ModelService"}));
  EXPECT_EQ(health.server.address, "h:3");
  EXPECT_EQ(health.service, "ddgan.v1.ModelService");
}

TEST(CommandLineTest, HelpDescribesEveryCommandAndItsFlags) {
  const auto help = [](const std::vector<std::string>& arguments) {
    return std::get<HelpCommand>(*Parse(arguments)).text;
  };
  for (const std::string word : {"--help", "-h", "help"}) {
    EXPECT_THAT(help({word}), HasSubstr("usage: ddgan COMMAND"));
  }
  const std::string generate = help({"generate", "--count=0", "--help"});
  for (const std::string flag :
       {"--count=N", "--seed=N", "--first_index=N", "--model=NAME",
        "--version=N", "--format=png|raw8|float32", "--class=interactive|batch",
        "--stream", "--previews", "--preview_dir=FOLDER", "--grid",
        "--out=PATH", "--server=HOST:PORT", "--timeout=DURATION"}) {
    EXPECT_THAT(generate, HasSubstr("\n  " + flag + "\n"));
  }
  EXPECT_THAT(help({"models", "-h"}), HasSubstr("usage: ddgan models"));
  EXPECT_THAT(help({"health", "-h"}), HasSubstr("--service=NAME"));
}

}  // namespace
}  // namespace ddgan
