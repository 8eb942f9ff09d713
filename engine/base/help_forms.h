// What --help tells in forms that are not for a terminal: a manual page, what a
// shell completes, and a line for each flag. Made from the same table as
// --help (program_options.h). Pure.
#ifndef DDGAN_ENGINE_BASE_HELP_FORMS_H_
#define DDGAN_ENGINE_BASE_HELP_FORMS_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "engine/base/option_table.h"
#include "engine/base/program_options.h"

namespace ddgan {

// What --help=FORM of a program, or of one command of a program of several,
// prints:
//   flags  a line for each word that `program.usage` begins with, such as
//   "pin",
//          and then for each flag, the general ones too: "--count=N", as in
//          --help, a tab, and what it is for in a few words
//   man    a manual page, in the macros of man(7)
//   bash, zsh  a script by which the shell completes the program's flags, and
//          values that are one of a few words or files; not of a command
// InvalidArgument, with the forms that there are, for any other.
absl::StatusOr<std::string> HelpInForm(const Program& program,
                                       absl::Span<const Option> table,
                                       absl::string_view form);

// A program of several commands.
struct ProgramOfCommands {
  std::string name;     // "ddgan".
  std::string summary;  // As Program::summary.
  // Before and after the commands in --help, in lines of 80 columns.
  std::string about;
  std::string notes;
  std::vector<CommandSummary> commands;
  // What PROGRAM COMMAND --help=flags prints.
  std::function<std::string(const std::string& command)> flags;
};

// What its --help prints, without a command.
std::string OverviewText(const ProgramOfCommands& program);

// What its --help=FORM prints, without a command; of its forms, man, bash and
// zsh. InvalidArgument for any other.
absl::StatusOr<std::string> HelpInForm(const ProgramOfCommands& program,
                                       absl::string_view form);

}  // namespace ddgan

#endif  // DDGAN_ENGINE_BASE_HELP_FORMS_H_
