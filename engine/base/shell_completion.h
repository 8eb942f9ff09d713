// Scripts by which shells complete a program's command line. Pure.
#ifndef DDGAN_ENGINE_BASE_SHELL_COMPLETION_H_
#define DDGAN_ENGINE_BASE_SHELL_COMPLETION_H_

#include <string>

#include "absl/types/span.h"

namespace ddgan {

// What may be completed after one command.
struct CompletedCommand {
  std::string name;     // Empty: the program has no commands, and this is it.
  std::string summary;  // Used only with a name.
  std::string flags;    // As HelpInForm tells them in the form flags.
};

// To be read by `source`, or put below /usr/share/bash-completion/completions.
std::string BashCompletion(const std::string& program,
                           absl::Span<const CompletedCommand> commands);

// To be put into a folder of $fpath, as _PROGRAM.
std::string ZshCompletion(const std::string& program,
                          absl::Span<const CompletedCommand> commands);

}  // namespace ddgan

#endif  // DDGAN_ENGINE_BASE_SHELL_COMPLETION_H_
