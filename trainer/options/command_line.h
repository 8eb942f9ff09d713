// The command line of ddgan-train. No LibTorch.
#ifndef DDGAN_TRAINER_OPTIONS_COMMAND_LINE_H_
#define DDGAN_TRAINER_OPTIONS_COMMAND_LINE_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "trainer/options/training_config.h"

namespace ddgan {

struct CommandLine {
  bool help = false;             // --help: print HelpText and end.
  bool list = false;             // --list: print BuiltinConfigTable and end.
  std::string config;            // --config, or empty.
  std::vector<FlagValue> flags;  // All others, in order.
};

// Of the arguments after the program's name: --name=value or --name value; for
// options that are true or false also --name and --noname. Which flags were
// given is thereby known, which Abseil's flags do not tell. Values are not
// looked at.
//   InvalidArgument  names what is not a flag, or has no value
absl::StatusOr<CommandLine> ParseCommandLine(
    const std::vector<std::string>& arguments);

// Every flag with default, range and meaning.
std::string HelpText();

}  // namespace ddgan

#endif  // DDGAN_TRAINER_OPTIONS_COMMAND_LINE_H_
