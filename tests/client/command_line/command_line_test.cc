#include "client/command_line/command_line.h"

#include <cstdint>
#include <limits>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/fakes/temporary_folder.h"

namespace ddgan {
namespace {

using ::testing::HasSubstr;

absl::StatusOr<Command> Parse(const std::vector<std::string>& arguments,
                              const Environment& environment = {}) {
  return ParseCommand(arguments, environment);
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

TEST(CommandLineTest, EveryCommandTakesTlsAndATokenTheSameWay) {
  const std::vector<std::string> flags = {
      "--server=host:2",     "--tls",
      "--tls_ca=ca",         "--tls_cert=cert",
      "--tls_key=key",       "--tls_server_name=name",
      "--token_file=secret", "--token_without_tls"};
  const auto expect_all = [](const ConnectionSecurity& security) {
    EXPECT_TRUE(security.tls);
    EXPECT_EQ(security.ca_file, "ca");
    EXPECT_EQ(security.cert_file, "cert");
    EXPECT_EQ(security.key_file, "key");
    EXPECT_EQ(security.server_name, "name");
    EXPECT_EQ(security.token_file, "secret");
    EXPECT_TRUE(security.token_without_tls);
  };
  for (const char* name :
       {"generate", "models", "health", "bench", "playground"}) {
    std::vector<std::string> arguments = {name};
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    if (arguments[0] == "bench") arguments.push_back("--concurrency=1");
    const absl::StatusOr<Command> command = Parse(arguments);
    ASSERT_TRUE(command.ok()) << name << ": " << command.status();
    if (const auto* generate = std::get_if<GenerateCommand>(&*command)) {
      expect_all(generate->server.security);
    } else if (const auto* models = std::get_if<ModelsCommand>(&*command)) {
      expect_all(models->server.security);
    } else if (const auto* health = std::get_if<HealthCommand>(&*command)) {
      expect_all(health->server.security);
    } else if (const auto* page = std::get_if<PlaygroundCommand>(&*command)) {
      expect_all(page->security);
    } else {
      expect_all(std::get<BenchCommand>(*command).security);
    }

    std::vector<std::string> in_the_clear = {name, "--server=host:2",
                                             "--token_file=secret"};
    if (in_the_clear[0] == "bench") in_the_clear.push_back("--concurrency=1");
    ExpectRefused(in_the_clear, "could read the token");
  }
}

TEST(CommandLineTest, TheSystemChoosesThePlaygroundsPortUnlessItIsSaid) {
  EXPECT_EQ(std::get<PlaygroundCommand>(*Parse({"playground"})).port, 0);
  EXPECT_EQ(
      std::get<PlaygroundCommand>(*Parse({"playground", "--port=8080"})).port,
      8080);
  ExpectRefused({"playground", "--port=65536"}, "[0, 65535]");
  ExpectRefused({"playground", "here"}, "here");
}

TEST(CommandLineTest, LeavesUnsetWhatTheServerDecides) {
  const GenerateCommand command = ParseGenerate({});
  EXPECT_EQ(command.server.address, "localhost:50051");
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

TEST(CommandLineTest, ReadsAGuide) {
  GenerateCommand command =
      ParseGenerate({"--guide=my strokes.png", "--guide_steps=2"});
  EXPECT_EQ(command.guide_file, "my strokes.png");
  EXPECT_EQ(command.request.guide().steps(), 2u);
  EXPECT_EQ(command.request.guide().fit(), v1::GUIDE_FIT_UNSPECIFIED);
  command = ParseGenerate(
      {"--guide-fit=resize", "--guide-steps=4294967295", "--guide=a"});
  EXPECT_EQ(command.request.guide().steps(), 4294967295u);
  EXPECT_EQ(command.request.guide().fit(), v1::GUIDE_FIT_RESIZE);
  command =
      ParseGenerate({"--guide=a", "--guide_steps=1", "--guide_fit=refuse"});
  EXPECT_EQ(command.request.guide().fit(), v1::GUIDE_FIT_REFUSE);
}

TEST(CommandLineTest, RefusesHalfAGuide) {
  ExpectRefused({"generate", "--guide=a.png"}, "--guide_steps=N");
  ExpectRefused({"generate", "--guide=a.png", "--guide_fit=resize"},
                "--guide_steps=N");
  ExpectRefused({"generate", "--guide_steps=2"}, "only with --guide=FILE");
  ExpectRefused({"generate", "--guide_fit=resize"}, "only with --guide=FILE");
  ExpectRefused({"generate", "--guide=", "--guide_steps=2"},
                "only with --guide=FILE");
  ExpectRefused(
      {"generate", "--guide=a.png", "--guide_steps=0"},
      "--guide_steps is 0, must be a whole number in [1, 4294967295]");
  ExpectRefused({"generate", "--guide=a.png", "--guide_fit=crop"},
                "--guide_fit is crop, must be one of: refuse, resize");
}

TEST(CommandLineTest, RefusesWhatNoServerCouldDo) {
  ExpectRefused({"generate", "--count=0"},
                "--count is 0, must be a whole number in [1, 4294967295]");
  ExpectRefused({"generate", "--version=0"}, "--version is 0");
  ExpectRefused({"generate", "--seed=-1"}, "--seed is -1");
  ExpectRefused({"generate", "--format=jpeg"},
                "must be one of: png, raw8, float32");
  ExpectRefused({"generate", "--grid", "--format=raw8"}, "--grid writes a PNG");
  ExpectRefused({"generate", "--first_index=4294967295", "--count=2"},
                "the last index must be at most 4294967295");
  EXPECT_EQ(ParseGenerate({"--first_index=4294967295"}).count, 1u);
  ExpectRefused({"generate", "--class=lazy"},
                "must be one of: interactive, batch");
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
  ExpectRefused({"models", "--count=1"}, "unknown flag --count");
  ExpectRefused({"health", "now"}, "unexpected argument 'now'");
}

ModelsCommand ParseModels(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "models");
  const absl::StatusOr<Command> command = Parse(arguments);
  EXPECT_TRUE(command.ok()) << command.status();
  return std::get<ModelsCommand>(*command);
}

TEST(CommandLineTest, ReadsWhatIsToBeDoneWithModels) {
  using Action = ModelsCommand::Action;
  ModelsCommand command = ParseModels({});
  EXPECT_EQ(command.action, Action::kList);
  EXPECT_EQ(command.server.address, "localhost:50051");
  EXPECT_EQ(command.server.timeout, absl::Seconds(10));

  command = ParseModels({"pin", "mnist", "--server=h:3", "4"});
  EXPECT_EQ(command.action, Action::kPin);
  EXPECT_EQ(command.model, "mnist");
  EXPECT_EQ(command.version, 4);
  EXPECT_EQ(command.server.address, "h:3");
  EXPECT_EQ(command.server.timeout, absl::Minutes(5));

  command = ParseModels({"--timeout=2s", "rollback", "mnist"});
  EXPECT_EQ(command.action, Action::kRollBack);
  EXPECT_EQ(command.model, "mnist");
  EXPECT_EQ(command.server.timeout, absl::Seconds(2));
  EXPECT_EQ(ParseModels({"rollback", "mnist"}).server.timeout,
            absl::Minutes(5));

  command = ParseModels({"unpin", "mnist"});
  EXPECT_EQ(command.action, Action::kUnpin);
  EXPECT_EQ(command.model, "mnist");
  EXPECT_EQ(command.server.timeout, absl::Seconds(10));

  command = ParseModels({"watch"});
  EXPECT_EQ(command.action, Action::kWatch);
  EXPECT_EQ(command.server.timeout, absl::InfiniteDuration());
}

TEST(CommandLineTest, RefusesWhatCannotBeDoneWithModels) {
  ExpectRefused({"models", "paint"},
                "'paint' is none of pin, unpin, rollback and watch");
  ExpectRefused({"models", "pin", "mnist"},
                "wanted ddgan models pin MODEL VERSION");
  ExpectRefused({"models", "unpin"}, "wanted ddgan models unpin MODEL");
  ExpectRefused({"models", "rollback", "mnist", "3"},
                "wanted ddgan models rollback MODEL");
  ExpectRefused({"models", "watch", "mnist"}, "wanted ddgan models watch");
  ExpectRefused({"models", "pin", "mnist", "0"},
                "VERSION 0: wanted a whole number from 1");
  ExpectRefused({"models", "pin", "mnist", "new"},
                "VERSION new: wanted a whole number from 1");
  ExpectRefused({"models", "unpin", "mnist", "--json"},
                "--json is of the list of models; ddgan models unpin takes "
                "none");
}

TEST(CommandLineTest, ReadsHealth) {
  const auto health = std::get<HealthCommand>(
      *Parse({"health", "--server=h:3", "--service=ddgan.v1.ModelService"}));
  EXPECT_EQ(health.server.address, "h:3");
  EXPECT_EQ(health.service, "ddgan.v1.ModelService");
  EXPECT_FALSE(health.json);
  EXPECT_TRUE(std::get<HealthCommand>(*Parse({"health", "--json"})).json);
  EXPECT_TRUE(std::get<ModelsCommand>(*Parse({"models", "--json"})).json);
}

BenchCommand ParseBench(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "bench");
  const absl::StatusOr<Command> command = Parse(arguments);
  EXPECT_TRUE(command.ok()) << command.status();
  return std::get<BenchCommand>(*command);
}

TEST(CommandLineTest, ReadsEveryFlagOfBench) {
  const BenchCommand command = ParseBench(
      {"--server=host:2", "--rate=0.5", "--duration=2m", "--warmup=0",
       "--counts=1,4", "--classes=batch", "--deadlines=2s", "--cancel=0.25",
       "--format=float32", "--model=mnist", "--seed=7", "--client_ids=3",
       "--timeout=30s", "--max_outstanding=100", "--standalone_calls=2",
       "--seed_pool=9", "--verify", "--json=report.json",
       "--record=calls.jsonl"});
  EXPECT_EQ(command.address, "host:2");
  EXPECT_EQ(command.json, "report.json");
  EXPECT_EQ(command.record, "calls.jsonl");
  const LoadOptions& load = command.load;
  EXPECT_EQ(load.rate, 0.5);
  EXPECT_EQ(load.concurrency, 0u);
  EXPECT_EQ(load.duration, absl::Minutes(2));
  EXPECT_EQ(load.calls, 0u);
  EXPECT_EQ(load.warmup, absl::ZeroDuration());
  EXPECT_EQ(load.mix.counts, (std::vector<Weighted<uint32_t>>{{1}, {4}}));
  EXPECT_EQ(load.mix.classes.size(), 1u);
  EXPECT_EQ(load.mix.classes[0].value, v1::REQUEST_CLASS_BATCH);
  EXPECT_EQ(load.mix.deadlines[0].value, absl::Seconds(2));
  EXPECT_EQ(load.mix.cancel, 0.25);
  EXPECT_EQ(load.request.format(), v1::OUTPUT_FORMAT_FLOAT32);
  EXPECT_EQ(load.request.model(), "mnist");
  EXPECT_EQ(load.seed, 7u);
  EXPECT_EQ(load.mix.client_ids, 3u);
  EXPECT_EQ(load.timeout, absl::Seconds(30));
  EXPECT_EQ(load.max_outstanding, 100u);
  EXPECT_EQ(load.standalone_calls, 2u);
  EXPECT_EQ(load.mix.seed_pool, 9u);
  EXPECT_TRUE(load.verify);
}

TEST(CommandLineTest, BenchHasAnEndUnlessToldOtherwise) {
  const LoadOptions by_time = ParseBench({"--concurrency=8"}).load;
  EXPECT_EQ(by_time.concurrency, 8u);
  EXPECT_EQ(by_time.warmup, absl::Seconds(5));
  EXPECT_EQ(by_time.duration, absl::Seconds(60));
  EXPECT_EQ(by_time.calls, 0u);
  const LoadOptions by_calls =
      ParseBench({"--concurrency=8", "--calls=100"}).load;
  EXPECT_EQ(by_calls.duration, absl::InfiniteDuration());
  EXPECT_EQ(by_calls.calls, 100u);
}

TEST(CommandLineTest, RefusesALoadThatMakesNoSense) {
  ExpectRefused({"bench"},
                "wanted either --concurrency=CALLERS or --rate=CALLS");
  ExpectRefused({"bench", "--rate=1", "--concurrency=1"}, "wanted either");
  ExpectRefused({"bench", "--rate=1", "--calls=1", "--duration=1s"},
                "wanted either --duration=TIME or --calls=N");
  ExpectRefused({"bench", "--rate=0"},
                "--rate is 0, must be a number in [0.001, 100000]");
  ExpectRefused({"bench", "--concurrency=0"},
                "--concurrency is 0, must be a whole number in [1, 100000]");
  ExpectRefused({"bench", "--rate=1", "--warmup=-1s"},
                "--warmup is -1s, must be a time in [0s, inf]");
  ExpectRefused({"bench", "--rate=1", "--duration=inf"},
                "--duration and --warmup must have an end");
  ExpectRefused({"bench", "--rate=1", "--counts=65"},
                "--counts is 65, wanted counts from 1 to 64");
  ExpectRefused({"bench", "--rate=1", "--classes=urgent"},
                "--classes is urgent, wanted interactive or batch");
  ExpectRefused({"bench", "--rate=1", "--deadlines=0s"},
                "--deadlines is 0s, wanted times above 0 or none");
  ExpectRefused({"bench", "--rate=1", "--cancel=1.5"},
                "--cancel is 1.5, must be a number in [0, 1]");
  ExpectRefused({"bench", "--rate=1", "--cancel=0.5", "--standalone_calls=0"},
                "--standalone_calls must be at least 1");
  ExpectRefused({"bench", "--rate=1", "--verify"}, "needs --seed_pool=N");
  ExpectRefused({"bench", "--concurrency=1", "--max_outstanding=1"},
                "--max_outstanding bounds an open loop");
}

TEST(CommandLineTest, HelpDescribesEveryCommandAndItsFlags) {
  const auto help = [](const std::vector<std::string>& arguments) {
    return std::get<HelpCommand>(*Parse(arguments)).text;
  };
  for (const std::string word : {"--help", "-h", "help"}) {
    EXPECT_THAT(help({word}), HasSubstr("usage: ddgan COMMAND"));
  }
  for (const absl::string_view line : absl::StrSplit(help({"help"}), '\n')) {
    EXPECT_LE(line.size(), 80u) << line;
  }
  const std::string generate = help({"generate", "--count=0", "--help"});
  for (const std::string flag :
       {"--count=N  (at least 1; default 1)\n", "--seed=N  (",
        "--first_index=N  (", "--model=NAME  (", "--version=N  (",
        "--format=png|raw8|float32  (default png)\n",
        "--class=interactive|batch  (", "--stream\n", "--previews\n",
        "--preview_dir=DIR  (", "--guide=FILE\n", "--guide_steps=STEPS  (",
        "--guide_fit=refuse|resize  (", "--grid\n", "--out=PATH  (",
        "--server=HOST:PORT  (",
        "--timeout=TIME  (in [1ns, inf]; default 5m)\n"}) {
    EXPECT_THAT(generate, HasSubstr("\n  " + flag));
  }
  const std::string models = help({"models", "pin", "-h"});
  for (const std::string words :
       {"usage: ddgan models", "pin MODEL VERSION", "unpin MODEL",
        "rollback MODEL", "ddgan models watch", "--timeout=TIME"}) {
    EXPECT_THAT(models, HasSubstr(words));
  }
  EXPECT_THAT(help({"health", "-h"}), HasSubstr("--service=NAME"));
  EXPECT_THAT(help({"bench", "-h"}),
              HasSubstr("\n  --counts=LIST  (default 1)\n"));
}

TEST(CommandLineTest, EveryCommandPrintsTheVersionInOneForm) {
  const auto text = [](const std::vector<std::string>& arguments) {
    return std::get<HelpCommand>(*Parse(arguments)).text;
  };
  EXPECT_THAT(text({"--version"}), ::testing::StartsWith("ddgan "));
  for (const char* name :
       {"generate", "models", "health", "bench", "playground"}) {
    EXPECT_EQ(text({name, "--version"}), text({"--version"}));
  }
}

TEST(CommandLineTest, TakesFlagsFromTheEnvironment) {
  const Environment environment = {{"DDGAN_CLIENT_SERVER", "other:2"},
                                   {"DDGAN_CLIENT_COUNT", "3"}};
  const auto generate =
      std::get<GenerateCommand>(*Parse({"generate"}, environment));
  EXPECT_EQ(generate.server.address, "other:2");
  EXPECT_EQ(generate.count, 3u);
  // Which has no such flag.
  const auto health =
      std::get<HealthCommand>(*Parse({"health", "--server=h:3"}, environment));
  EXPECT_EQ(health.server.address, "h:3");
}

TEST(CommandLineTest, NamesAVariableThatIsNoCommandsFlag) {
  const absl::Status status =
      Parse({"health"}, {{"DDGAN_CLIENT_COUNNT", "3"}}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("unknown environment variable DDGAN_CLIENT_COUNNT"));
}

TEST(CommandLineTest, EitherVariableForTheServerComesBeforeTheFile) {
  const TemporaryFolder folder;
  const std::string path = (folder.path() / "ddgan.toml").string();
  WriteBytes(path, "server = \"file:1\"\n");
  const auto address = [&](Environment environment,
                           std::vector<std::string> flags = {}) {
    environment["DDGAN_CLIENT_CONFIG_FILE"] = path;
    flags.insert(flags.begin(), "health");
    return std::get<HealthCommand>(*Parse(flags, environment)).server.address;
  };
  EXPECT_EQ(address({}), "file:1");
  EXPECT_EQ(address({{"DDGAN_SERVER", "short:2"}}), "short:2");
  EXPECT_EQ(
      address({{"DDGAN_SERVER", "short:2"}, {"DDGAN_CLIENT_SERVER", "long:3"}}),
      "long:3");
  EXPECT_EQ(address({{"DDGAN_SERVER", "short:2"}}, {"--server=flag:4"}),
            "flag:4");
}

TEST(CommandLineTest, AFileHasASectionForEachCommand) {
  const TemporaryFolder folder;
  const std::string path = (folder.path() / "ddgan.toml").string();
  WriteBytes(path,
             "server = \"all:1\"\n[generate]\ncount = 5\n[bench]\nrate = 2\n");
  const std::string file = "--config_file=" + path;
  const GenerateCommand generate = ParseGenerate({file});
  EXPECT_EQ(generate.server.address, "all:1");
  EXPECT_EQ(generate.count, 5u);
  const BenchCommand bench = ParseBench({file});
  EXPECT_EQ(bench.address, "all:1");
  EXPECT_EQ(bench.load.rate, 2);
}

}  // namespace
}  // namespace ddgan
