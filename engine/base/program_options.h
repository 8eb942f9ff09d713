// How every program of this project takes its options: from the command line,
// the environment and a file, by one table; and how it prints --help and
// --version. Pure but for the file and the environment that it is given.
#ifndef DDGAN_ENGINE_BASE_PROGRAM_OPTIONS_H_
#define DDGAN_ENGINE_BASE_PROGRAM_OPTIONS_H_

#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "engine/base/option_table.h"

namespace ddgan {

// One command of a program of several, and what it is for.
struct CommandSummary {
  const char* name;     // "generate"
  const char* summary;  // As Program::summary.
};

// A program, or one command of a program of several.
struct Program {
  std::string name;         // "ddgan-server", "ddgan generate".
  std::string environment;  // What its variables begin with: "DDGAN_SERVER_".
  // What may follow the name; one line for each form.
  std::vector<std::string> usage;
  std::string about;  // Before the flags in --help, in lines of 80 columns.
  std::string notes = "";  // After them.
  // What it is for, in some words without a full stop: "make images and write
  // them to files". For its manual page.
  std::string summary = "";
  // Arguments that are no flags.
  size_t max_operands = 0;
  // Whether --noNAME sets the bool NAME to false, too.
  bool negations = false;
  // A program of several commands has in its file, after what is for all of
  // them, a section for each, [generate]. Which is this one's, and all.
  std::string section = "";
  std::vector<std::string> sections = {};
  // Variables beside the program's own, by the option that they are for, which
  // count where its own is not set.
  std::map<std::string, std::string> other_variables = {};
  // Whether an option of this name, which the table has not, may stand in the
  // environment all the same: it is another command's. Null: none may.
  std::function<bool(absl::string_view name)> is_known_elsewhere = nullptr;
};

inline constexpr char kFromCommandLine[] = "from the command line";

// One value of one option, not read yet.
struct GivenOption {
  std::string name;
  std::string text;
  // kFromCommandLine, "from the environment variable X", "from the file X";
  // empty if nobody needs to know.
  std::string origin = "";
};

struct ProgramOptions {
  // Of --help or --version: to be printed, after which the program ends with 0.
  // The rest is then empty.
  std::string text;
  std::vector<std::string> operands;
  // In the order in which they count: the last value of a name wins. A name is
  // from one origin alone, the first of command line, environment and file that
  // has it.
  std::vector<GivenOption> given;
};

// The values of variables, by name.
using Environment = std::map<std::string, std::string>;
// That of this process.
Environment OwnEnvironment();

// Finds out what is given to a program without looking at values.
//
// `arguments` are those after the program's name and its command: --name=value,
// --name value; for a bool --name or --name=true|false; dashes may stand for
// underscores. --help or -h anywhere asks for help; so does --version for the
// version, alone where the table has an option of that name. After "--" there
// are no flags. --help=FORM asks for the help in a form that help_forms.h has.
// The environment has NAME as <program.environment>NAME in
// capitals; an empty value is none. A file, in TOML or INI, is what
// --config_file or its variable names.
//   InvalidArgument  an unknown form of help, flag, key, or variable that
//   begins as the
//                    program's do (names the nearest), a flag without
//                    its value, too many operands, a file that cannot be read,
//                    or a key in it twice; messages name the file
absl::StatusOr<ProgramOptions> FindOptions(
    const Program& program, absl::Span<const Option> table,
    absl::Span<const std::string> arguments,
    const Environment& environment = OwnEnvironment());

// Reads one value into its option. InvalidArgument that says which option it is
// for, the value, what is wanted and where the value is from.
absl::Status StoreOption(absl::Span<const Option> table,
                         const GivenOption& given);

// Both: finds the options and stores them. InvalidArgument also if one whose
// default is kRequired is not given.
absl::StatusOr<ProgramOptions> ParseOptions(
    const Program& program, absl::Span<const Option> table,
    absl::Span<const std::string> arguments,
    const Environment& environment = OwnEnvironment());

// What --help prints: usage, groups of flags with unit, range and default, and
// where else options may be set. In lines of 80 columns.
std::string HelpText(const Program& program, absl::Span<const Option> table);

// What --version prints, "ddgan-server 0.1.0\n". `program` may be followed by a
// command's name.
std::string VersionText(const std::string& program);

}  // namespace ddgan

#endif  // DDGAN_ENGINE_BASE_PROGRAM_OPTIONS_H_
