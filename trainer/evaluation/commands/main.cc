// ddgan-evaluate: measures models by their pictures, their coverage and their
// time. `ddgan-evaluate --help` is its manual. Exit code 0 done, 1 failed, 2
// wrong usage; a failure is one line on stderr.
#include <unistd.h>

#include <cstdio>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "engine/base/monotonic_clock.h"
#include "engine/base/process_signals.h"
#include "engine/base/progress_bar.h"
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

template <typename Options>
int RunCommand(absl::StatusOr<Options> (*parse)(const CommandInput&),
               absl::StatusOr<std::string> (*run)(const Options&,
                                                  const Environment&,
                                                  EvaluationProgress*),
               absl::Span<const std::string> arguments) {
  const Environment environment = OwnEnvironment();
  const absl::StatusOr<Options> options = parse({arguments, environment});
  if (!options.ok()) return Fail(options.status().message(), 2);
  if (!options->text.empty()) {
    std::fputs(options->text.c_str(), stdout);
    return 0;
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
  std::fputs(report->c_str(), stdout);
  return 0;
}

int Run(const std::vector<std::string>& all) {
  const std::string command = all.empty() ? "" : all[0];
  if (command.empty()) {
    return Fail("which command? (see ddgan-evaluate --help)", 2);
  }
  if (command == "--help" || command == "-h" || command == "help") {
    std::fputs(EvaluateOverview().c_str(), stdout);
    return 0;
  }
  if (command == "--version") {
    std::fputs(VersionText("ddgan-evaluate").c_str(), stdout);
    return 0;
  }
  const absl::Span<const std::string> arguments =
      absl::MakeConstSpan(all).subspan(1);
  if (command == "quality") {
    return RunCommand(ParseQuality, RunQuality, arguments);
  }
  if (command == "modes") return RunCommand(ParseModes, RunModes, arguments);
  if (command == "nearest") {
    return RunCommand(ParseNearest, RunNearest, arguments);
  }
  if (command == "speed") return RunCommand(ParseSpeed, RunSpeed, arguments);
  if (command == "trilemma") {
    return RunCommand(ParseTrilemma, RunTrilemma, arguments);
  }
  if (command == "figure_data") {
    return RunCommand(ParseFigureData, RunFigureData, arguments);
  }
  return Fail(absl::StrCat("there is no command '", command,
                           "' (see ddgan-evaluate --help)"),
              2);
}

}  // namespace
}  // namespace ddgan

int main(int argc, char** argv) {
  ddgan::IgnoreBrokenPipes();
  return ddgan::Run(std::vector<std::string>(argv + 1, argv + argc));
}
