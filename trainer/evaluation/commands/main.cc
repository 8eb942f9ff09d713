// ddgan-evaluate: measures models by their pictures, their coverage and their
// time. `ddgan-evaluate --help` is its manual. Exit code 0 done, 1 failed, 2
// wrong usage; a failure is one line on stderr.
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "absl/types/span.h"
#include "engine/base/help_forms.h"
#include "engine/base/monotonic_clock.h"
#include "engine/base/openmp_waiting.h"
#include "engine/base/process_signals.h"
#include "engine/base/progress_bar.h"
#include "engine/base/standard_output.h"
#include "trainer/evaluation/commands/figure_data_command.h"
#include "trainer/evaluation/commands/modes_command.h"
#include "trainer/evaluation/commands/nearest_command.h"
#include "trainer/evaluation/commands/quality_command.h"
#include "trainer/evaluation/commands/speed_command.h"
#include "trainer/evaluation/commands/trilemma_command.h"
#include "trainer/evaluation/session/evaluate_program.h"
#include "trainer/evaluation/session/evaluation_progress.h"

namespace ddgan {
namespace {

int Fail(absl::string_view message, int exit_code) {
  std::fprintf(stderr, "ddgan-evaluate: %s\n", std::string(message).c_str());
  return exit_code;
}

// The exit code.
int Print(const std::string& text) {
  std::fputs(text.c_str(), stdout);
  return EndOfOutput("ddgan-evaluate");
}

// Of all commands.
std::vector<CommandSummary> Summaries();
bool IsFlagOfACommand(absl::string_view name);

// Of a command's options, a function to read them and one to do what they say.
template <auto parse, auto run>
int RunCommand(absl::Span<const std::string> arguments) {
  const Environment environment = OwnEnvironment();
  const std::vector<CommandSummary> commands = Summaries();
  const auto options =
      parse(CommandInput{arguments, environment, commands, IsFlagOfACommand});
  if (!options.ok()) return Fail(options.status().message(), 2);
  if (!options->text.empty()) {
    return Print(options->text);
  }
  absl::StatusOr<std::string> report;
  {
    EvaluationProgress progress(
        {.is_terminal = isatty(STDERR_FILENO) == 1,
         .columns = [] { return TerminalColumns(STDERR_FILENO); }},
        StandardErrorSink(), RealMonotonicClock());
    report = run(*options, environment, &progress);
  }
  if (!report.ok()) return Fail(report.status().message(), 1);
  return Print(*report);
}

// What --help=flags of a command prints.
template <auto parse>
std::string Flags() {
  const std::vector<std::string> arguments = {"--help=flags"};
  return parse(CommandInput{arguments, {}})->text;
}

struct RunnableCommand {
  CommandSummary summary;
  int (*run)(absl::Span<const std::string> arguments);
  std::string (*flags)();
};
template <auto parse, auto run>
constexpr RunnableCommand Command(const char* name, const char* summary) {
  return {{name, summary}, RunCommand<parse, run>, Flags<parse>};
}
constexpr RunnableCommand kCommands[] = {
    Command<ParseQuality, RunQuality>(
        "quality",
        "how far pictures are from real ones: FD, KID, IS, recall, ..."),
    Command<ParseModes, RunModes>(
        "modes",
        "how many digits, triples of digits or Gaussians a model covers"),
    Command<ParseNearest, RunNearest>(
        "nearest", "the real pictures that are nearest to a model's"),
    Command<ParseSpeed, RunSpeed>(
        "speed", "how long a model takes for 100 pictures, and for one"),
    Command<ParseTrilemma, RunTrilemma>(
        "trilemma",
        "quality, coverage and time of several models and samplers"),
    Command<ParseFigureData, RunFigureData>(
        "figure_data", "numbers that figures are drawn from"),
};

const RunnableCommand* FindCommand(absl::string_view name) {
  const auto found = std::find_if(std::begin(kCommands), std::end(kCommands),
                                  [name](const RunnableCommand& command) {
                                    return name == command.summary.name;
                                  });
  return found == std::end(kCommands) ? nullptr : found;
}

std::vector<CommandSummary> Summaries() {
  std::vector<CommandSummary> all;
  for (const RunnableCommand& command : kCommands) {
    all.push_back(command.summary);
  }
  return all;
}

bool IsFlagOfACommand(absl::string_view name) {
  return std::any_of(
      std::begin(kCommands), std::end(kCommands),
      [name](const RunnableCommand& command) {
        const std::string lines = absl::StrCat("\n", command.flags());
        return absl::StrContains(lines, absl::StrCat("\n--", name, "=")) ||
               absl::StrContains(lines, absl::StrCat("\n--", name, "\t"));
      });
}

ProgramOfCommands WholeProgram() {
  return {.name = "ddgan-evaluate",
          .summary = "measure models by their pictures, coverage and time",
          .about =
              "Measures models: by their pictures, by how much they cover, "
              "and by how long\nthey take.\n",
          .notes =
              "ddgan-evaluate COMMAND --help tells more about each, and "
              "ddgan-evaluate\n--version the version; --help=bash, =zsh and "
              "=man print what completes commands\nin a shell, and a manual "
              "page.\n\nExit code: 0 done, 1 failed, 2 wrong usage.\n",
          .commands = Summaries(),
          .flags = [](const std::string& command) {
            return FindCommand(command)->flags();
          }};
}

int Run(const std::vector<std::string>& all) {
  const std::string name = all.empty() ? "" : all[0];
  if (name.empty()) {
    return Fail("which command? (see ddgan-evaluate --help)", 2);
  }
  if (name == "--help" || name == "-h" || name == "help") {
    return Print(OverviewText(WholeProgram()));
  }
  if (absl::string_view form = name; absl::ConsumePrefix(&form, "--help=")) {
    const absl::StatusOr<std::string> text = HelpInForm(WholeProgram(), form);
    if (!text.ok()) return Fail(text.status().message(), 2);
    return Print(*text);
  }
  if (name == "--version") {
    return Print(VersionText("ddgan-evaluate"));
  }
  const RunnableCommand* const command = FindCommand(name);
  if (command == nullptr) {
    return Fail(absl::StrCat("there is no command '", name,
                             "' (see ddgan-evaluate --help)"),
                2);
  }
  return command->run(absl::MakeConstSpan(all).subspan(1));
}

}  // namespace
}  // namespace ddgan

int main(int argc, char** argv) {
  ddgan::IgnoreBrokenPipes();
  // It often runs beside a training or a server, and threads that spin while
  // they wait take the processors that the others compute on.
  ddgan::ChooseOpenMpWaiting("ddgan-evaluate", "PASSIVE", argv);
  return ddgan::Run(std::vector<std::string>(argv + 1, argv + argc));
}
