// The command line client. `ddgan --help` is its manual.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "client/command_line/bench_command.h"
#include "client/command_line/command_line.h"
#include "client/command_line/generate_command.h"
#include "client/command_line/health_command.h"
#include "client/command_line/models_command.h"
#include "client/command_line/playground_command.h"
#include "engine/base/process_signals.h"
#include "engine/base/standard_output.h"

namespace {

struct CommandRunner {
  int operator()(const ddgan::GenerateCommand& command) const {
    return ddgan::RunGenerate(command, std::cout, std::cerr,
                              isatty(STDERR_FILENO) ? stderr : nullptr);
  }
  int operator()(const ddgan::ModelsCommand& command) const {
    return ddgan::RunModels(command, std::cout, std::cerr);
  }
  int operator()(const ddgan::HealthCommand& command) const {
    return ddgan::RunHealth(command, std::cout, std::cerr);
  }
  int operator()(const ddgan::BenchCommand& command) const {
    return ddgan::RunBench(command, std::cout, std::cerr,
                           isatty(STDERR_FILENO) ? stderr : nullptr);
  }
  int operator()(const ddgan::PlaygroundCommand& command) const {
    return ddgan::RunPlayground(command, std::cout, std::cerr);
  }
  int operator()(const ddgan::HelpCommand& command) const {
    std::cout << command.text;
    return 0;
  }
};

}  // namespace

int main(int argc, char** argv) {
  ddgan::IgnoreBrokenPipes();
  const absl::StatusOr<ddgan::Command> command =
      ddgan::ParseCommand(std::vector<std::string>(argv + 1, argv + argc));
  if (!command.ok()) {
    std::cerr << "ddgan: " << command.status().message() << '\n';
    return 2;
  }
  const int exit_code = std::visit(CommandRunner(), *command);
  const int output = ddgan::EndOfOutput("ddgan");
  return exit_code != 0 ? exit_code : output;
}
