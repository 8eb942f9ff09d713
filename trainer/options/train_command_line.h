// The command line of ddgan-train. No LibTorch.
#ifndef DDGAN_TRAINER_OPTIONS_TRAIN_COMMAND_LINE_H_
#define DDGAN_TRAINER_OPTIONS_TRAIN_COMMAND_LINE_H_

#include <cstdlib>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "engine/base/program_options.h"

namespace ddgan {

struct TrainCommandLine {
  std::string text;    // Of --help or --version: print it and end.
  bool list = false;   // --list: print BuiltinConfigTable and end.
  std::string config;  // --config, or empty.
  // All others, with values that are not looked at: ResolveOptions lays them
  // over the configuration.
  std::vector<GivenOption> flags;
};

// Of the arguments after the program's name, the environment (DDGAN_TRAIN_...)
// and a file of options: program_options.h says how they are read.
//   InvalidArgument  names what is not a flag, or has no value
absl::StatusOr<TrainCommandLine> ParseTrainCommandLine(
    absl::Span<const std::string> arguments,
    const Environment& environment = OwnEnvironment());

}  // namespace ddgan

#endif  // DDGAN_TRAINER_OPTIONS_TRAIN_COMMAND_LINE_H_
