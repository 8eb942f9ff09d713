// The options of every program: a line of the input each, after the program's
// name; lines after "%env" are variables, those after "%file" a file of
// options, which also stands for a training configuration.
#include <array>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/command_line/command_line.h"
#include "engine/base/program_options.h"
#include "server/server_options.h"
#include "tests/fuzz/fuzz_input.h"
#include "trainer/evaluation/commands/figure_data_command.h"
#include "trainer/evaluation/commands/modes_command.h"
#include "trainer/evaluation/commands/nearest_command.h"
#include "trainer/evaluation/commands/quality_command.h"
#include "trainer/evaluation/commands/speed_command.h"
#include "trainer/evaluation/commands/trilemma_command.h"
#include "trainer/import/import_options.h"
#include "trainer/options/train_command_line.h"
#include "trainer/options/training_config.h"

namespace ddgan {
namespace {

struct Given {
  std::vector<std::string> arguments;
  Environment environment;
  std::string file;
};

// No file but the one that the input brings is to be read.
bool NamesAFile(std::string_view line) {
  return line.find('/') != std::string_view::npos;
}

Given Read(InputReader* input, std::string_view prefix) {
  Given given;
  std::string_view line;
  while (!input->empty() && (line = input->Until('\n')) != "%env") {
    if (line == "%file") break;
    if (!NamesAFile(line)) given.arguments.emplace_back(line);
  }
  while (!input->empty() && line != "%file") {
    line = input->Until('\n');
    const size_t equals = line.find('=');
    if (equals == std::string_view::npos || NamesAFile(line)) continue;
    given.environment.emplace(
        absl::StrCat(std::string(prefix), std::string(line.substr(0, equals))),
        line.substr(equals + 1));
  }
  given.file = input->Rest();
  if (!given.file.empty()) {
    given.arguments.push_back(
        absl::StrCat("--config_file=", InputFile(given.file).string()));
  }
  return given;
}

// Every kind of option, in a table of its own.
struct EveryKind {
  bool flag = false;
  int whole = 5;
  int64_t large = 0;
  uint32_t small = 0;
  uint64_t seed = 0;
  int64_t bytes = int64_t{64} << 20;
  double ratio = 0.5;
  std::string text = "text";
  std::string word = "one";
  absl::Duration time = absl::Seconds(1);
  absl::Duration seconds = absl::Seconds(1);
  std::vector<int> numbers = {1};
  std::vector<absl::Duration> times;

  std::vector<Option> Table() {
    static constexpr char kGroup[] = "Options";
    return {
        {"flag", kGroup, "", &flag, kAny, "a bool"},
        {"whole", kGroup, "", &whole, Between(-3, 64), "an int"},
        {"large", kGroup, "", &large, kAny, "an int64"},
        {"small", kGroup, "", &small, AtLeast(1), "a uint32"},
        {"seed", kGroup, "", &seed, kAny, "a uint64"},
        {"mebibytes", kGroup, "MiB", Bytes{&bytes, 20}, Between(1, 1 << 20),
         "bytes"},
        {"ratio", kGroup, "", &ratio, Between(0.0, 1.0), "a double"},
        {"text", kGroup, "", &text, kNotEmpty, "a text"},
        {"word", kGroup, "", OneOf(&word, {"one", "two"}), kAny, "a word"},
        {"time", kGroup, "", &time,
         Between(absl::ZeroDuration(), absl::Hours(1)), "a time"},
        {"seconds", kGroup, "", TimeOrSeconds{&seconds},
         Between(absl::Nanoseconds(1), absl::InfiniteDuration()), "seconds"},
        {"numbers", kGroup, "", &numbers, Between(1, 256), "numbers"},
        {"times", kGroup, "", &times, kAny, "times"},
    };
  }

  void RequireInRange() const {
    Require(whole >= -3 && whole <= 64, "an int in its range");
    Require(bytes >= int64_t{1} << 20 && bytes <= int64_t{1} << 40,
            "bytes in their range");
    Require(ratio >= 0 && ratio <= 1, "a double in its range");
    Require(!text.empty(), "a text that is not empty");
    Require(word == "one" || word == "two", "one of the words");
    Require(time >= absl::ZeroDuration() && time <= absl::Hours(1),
            "a time in its range");
    Require(seconds > absl::ZeroDuration(), "a time above zero");
    for (const int number : numbers) {
      Require(number >= 1 && number <= 256, "a list's numbers in their range");
    }
  }
};

absl::Status CheckTable(const Given& given) {
  EveryKind options;
  const std::vector<Option> table = options.Table();
  const auto parsed = ParseOptions({.name = "every-kind",
                                    .environment = "KIND_",
                                    .usage = {"[flags]"},
                                    .about = "Has an option of every kind.\n",
                                    .max_operands = 2,
                                    .negations = true,
                                    .section = "here",
                                    .sections = {"here", "there"}},
                                   table, given.arguments, given.environment);
  options.RequireInRange();
  // Whatever an option has become, its text says it.
  EveryKind others;
  const std::vector<Option> other_table = others.Table();
  for (size_t i = 0; i < table.size(); ++i) {
    const std::string text = OptionText(table[i]);
    // As the default is, though it is out of the range.
    if (absl::string_view(table[i].name) == "small" && options.small == 0) {
      continue;
    }
    const absl::Status stored = SetOption(other_table[i], text);
    Require(stored.ok() && OptionText(other_table[i]) == text,
            "an option reads as it is written");
  }
  if (parsed.ok()) {
    Require(parsed->operands.size() <= 2, "no more operands than are taken");
  }
  return parsed.status();
}

absl::Status CheckServer(const Given& given) {
  const auto line = ParseServerCommandLine(given.arguments, given.environment);
  if (!line.ok() || !line->text.empty()) return line.status();
  const ServerOptions& options = line->options;
  Require(options.encode_threads >= 1 && options.encode_threads <= 256,
          "encode_threads is in its range");
  Require(options.drain_delay >= absl::ZeroDuration() &&
              options.drain_delay <= absl::Minutes(10) &&
              options.drain_timeout >= absl::ZeroDuration() &&
              options.drain_timeout <= absl::Hours(1),
          "the times of a drain are in their range");
  for (const ListenAddress& address : {options.listen, options.http}) {
    Require(ParseListenAddress(ToString(address)).ok(), "an address");
  }
  return absl::OkStatus();
}

absl::Status CheckTrainer(const Given& given) {
  if (!given.file.empty()) {
    const auto config = ParseTrainingConfig(given.file, "a file");
    Require(config.ok() || absl::IsInvalidArgument(config.status()),
            "a refused configuration is InvalidArgument");
  }
  const auto line = ParseTrainCommandLine(given.arguments, given.environment);
  if (!line.ok() || NamesAFile(line->config)) return line.status();
  const auto options = ResolveOptions(line->config, line->flags);
  // As of "my.json", which is not there.
  if (absl::IsNotFound(options.status())) return absl::OkStatus();
  return options.status();
}

template <typename Options>
absl::Status CheckEvaluate(
    absl::StatusOr<Options> (*parse)(const CommandInput&), const Given& given) {
  return parse({given.arguments, given.environment}).status();
}

struct Parser {
  const char* name;
  const char* variables;  // What they begin with.
  absl::Status (*check)(const Given&);
};
constexpr std::array<Parser, 11> kParsers = {{
    {"table", "KIND_", CheckTable},
    {"server", "DDGAN_SERVER_", CheckServer},
    {"train", "DDGAN_TRAIN_", CheckTrainer},
    {"import", "DDGAN_IMPORT_",
     [](const Given& given) {
       return ParseImportOptions(given.arguments, given.environment).status();
     }},
    {"client", "DDGAN_CLIENT_",
     [](const Given& given) {
       return ParseCommand(given.arguments, given.environment).status();
     }},
    {"modes", "DDGAN_EVALUATE_",
     [](const Given& given) { return CheckEvaluate(ParseModes, given); }},
    {"figure_data", "DDGAN_EVALUATE_",
     [](const Given& given) { return CheckEvaluate(ParseFigureData, given); }},
    {"nearest", "DDGAN_EVALUATE_",
     [](const Given& given) { return CheckEvaluate(ParseNearest, given); }},
    {"quality", "DDGAN_EVALUATE_",
     [](const Given& given) { return CheckEvaluate(ParseQuality, given); }},
    {"speed", "DDGAN_EVALUATE_",
     [](const Given& given) { return CheckEvaluate(ParseSpeed, given); }},
    {"trilemma", "DDGAN_EVALUATE_",
     [](const Given& given) { return CheckEvaluate(ParseTrilemma, given); }},
}};

}  // namespace
}  // namespace ddgan

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ddgan::InputReader input(data, size);
  const std::string_view name = input.Until('\n');
  for (const ddgan::Parser& parser : ddgan::kParsers) {
    if (name != parser.name) continue;
    const absl::Status status =
        parser.check(ddgan::Read(&input, parser.variables));
    ddgan::Require(status.ok() || absl::IsInvalidArgument(status),
                   "refused options are InvalidArgument");
    ddgan::Require(status.ok() || !status.message().empty(),
                   "a refusal says why");
  }
  return 0;
}
