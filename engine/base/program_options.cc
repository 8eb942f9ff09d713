#include "engine/base/program_options.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <set>
#include <utility>
#include <variant>

// The one file that includes it: it takes seconds to compile.
#include "CLI/CLI.hpp"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "engine/base/durable_file.h"
#include "engine/base/general_options.h"
#include "engine/base/help_forms.h"

namespace ddgan {
namespace {

bool IsBool(const Option& option) {
  return std::holds_alternative<bool*>(option.target);
}

absl::Status NeedsValue(const Option& option) {
  return absl::InvalidArgumentError(
      absl::StrCat("--", option.name, " needs a value, as --", option.name, "=",
                   OptionPlaceholder(option)));
}

// The arguments as CLI11 is to see them: underscores for dashes in names, and
// an empty value as an argument of its own, since to CLI11 "--name=" is a flag
// whose value is the next argument.
std::vector<std::string> ForCli11(absl::Span<const Option> table,
                                  absl::Span<const std::string> arguments) {
  std::vector<std::string> result;
  for (const std::string& argument : arguments) {
    if (!absl::StartsWith(argument, "--")) {
      result.push_back(argument);
      continue;
    }
    const size_t equals = argument.find('=');
    const std::string name =
        absl::StrReplaceAll(argument.substr(2, equals - 2), {{"-", "_"}});
    result.push_back(absl::StrCat("--", name));
    if (equals == std::string::npos) continue;
    const std::string value = argument.substr(equals + 1);
    const Option* const option = FindOption(table, name);
    if (value.empty() && option != nullptr && !IsBool(*option)) {
      result.push_back(value);
    } else {
      // Two quotes are what is shown of an empty value: no bool is that.
      absl::StrAppend(&result.back(), "=", value.empty() ? "\"\"" : value);
    }
  }
  return result;
}

absl::Status UnknownFlag(absl::Span<const Option> table,
                         const std::string& argument) {
  const std::string flag = argument.substr(0, argument.find('='));
  absl::string_view name = flag;
  while (absl::ConsumePrefix(&name, "-")) {
  }
  return absl::InvalidArgumentError(
      absl::StrCat("unknown flag ", flag, NearMiss(table, name, "--")));
}

// What `arguments` give, and which are no flags, among them `operands`.
absl::Status ReadArguments(const Program& program,
                           absl::Span<const Option> table,
                           absl::Span<const std::string> arguments,
                           absl::Span<const std::string> operands,
                           ProgramOptions* options) {
  CLI::App app;
  app.set_help_flag();
  app.allow_extras();
  std::vector<std::pair<const Option*, CLI::Option*>> parsed;
  for (const Option& option : table) {
    const std::string flag = absl::StrCat("--", option.name);
    const std::string negation =
        program.negations ? absl::StrCat(",!--no", option.name) : "";
    CLI::Option* const added =
        IsBool(option) ? app.add_flag(flag + negation) : app.add_option(flag);
    added->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
    parsed.push_back({&option, added});
  }
  std::vector<std::string> reversed = ForCli11(table, arguments);
  std::reverse(reversed.begin(), reversed.end());
  const std::string last = reversed.empty() ? "" : reversed.front();
  try {
    app.parse(std::move(reversed));
  } catch (const CLI::Error& error) {
    // All that it can find wrong: the last argument is a flag without value.
    const Option* const option =
        FindOption(table, absl::StripPrefix(last, "--"));
    return option != nullptr ? NeedsValue(*option)
                             : absl::InvalidArgumentError(error.what());
  }
  for (const std::string& extra : app.remaining()) {
    if (absl::StartsWith(extra, "-") && extra != "-") {
      return UnknownFlag(table, extra);
    }
    options->operands.push_back(extra);
  }
  options->operands.insert(options->operands.end(), operands.begin(),
                           operands.end());
  if (options->operands.size() > program.max_operands) {
    return absl::InvalidArgumentError(absl::StrCat(
        "unexpected argument '", options->operands[program.max_operands],
        "'; flags begin with --, and --help lists them"));
  }
  for (const auto& [option, flag] : parsed) {
    for (const std::string& text : flag->results()) {
      // The next flag, which CLI11 took for the value.
      if (absl::StartsWith(text, "--")) return NeedsValue(*option);
      options->given.push_back({option->name, text, kFromCommandLine});
    }
  }
  return absl::OkStatus();
}

std::set<std::string> NamesOf(const std::vector<GivenOption>& given) {
  std::set<std::string> names;
  for (const GivenOption& option : given) names.insert(option.name);
  return names;
}

// Whether Kubernetes sets a variable of this name, in lower case and without
// the prefix that it makes of a service's name, in every pod beside the
// service: "service_host", "port_50051_tcp_addr". Nobody misspelt those.
bool IsOfKubernetesService(absl::string_view name) {
  if (name == "service_host" || name == "service_port" || name == "port" ||
      absl::StartsWith(name, "service_port_")) {
    return true;
  }
  const std::vector<absl::string_view> words = absl::StrSplit(name, '_');
  return words.size() >= 3 && words[0] == "port" &&
         std::all_of(words[1].begin(), words[1].end(), absl::ascii_isdigit) &&
         (words[2] == "tcp" || words[2] == "udp" || words[2] == "sctp");
}

// InvalidArgument if a variable looks like one of the program's and is none.
absl::Status CheckVariables(const Program& program,
                            absl::Span<const Option> table,
                            const Environment& environment) {
  for (auto variable = environment.lower_bound(program.environment);
       variable != environment.end(); ++variable) {
    absl::string_view suffix = variable->first;
    if (!absl::ConsumePrefix(&suffix, program.environment)) break;
    const std::string name = absl::AsciiStrToLower(suffix);
    const bool is_known = (FindOption(table, name) != nullptr &&
                           variable->first == VariableName(program, name)) ||
                          (program.is_known_elsewhere != nullptr &&
                           program.is_known_elsewhere(name));
    if (is_known || IsOfKubernetesService(name)) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("unknown environment variable ", variable->first,
                     NearMiss(table, name, "--")));
  }
  return absl::OkStatus();
}

absl::Status ReadEnvironment(const Program& program,
                             absl::Span<const Option> table,
                             const Environment& environment,
                             ProgramOptions* options) {
  const std::set<std::string> known = NamesOf(options->given);
  for (const Option& option : table) {
    std::vector<std::string> variables = {VariableName(program, option.name)};
    if (const auto other = program.other_variables.find(option.name);
        other != program.other_variables.end()) {
      variables.push_back(other->second);
    }
    for (const std::string& variable : variables) {
      const auto found = environment.find(variable);
      if (found == environment.end() || found->second.empty()) continue;
      if (known.count(option.name) == 0) {
        options->given.push_back(
            {option.name, found->second,
             absl::StrCat("from the environment variable ", variable)});
      }
      break;
    }
  }
  return CheckVariables(program, table, environment);
}

// The text of a key's value in a file. CLI11 splits what is not quoted at
// commas, or else at blanks.
absl::StatusOr<std::string> ValueInFile(const Option& option,
                                        const std::vector<std::string>& parts) {
  for (const std::string& part : parts) {
    // CLI11 begins a comment at any '#'.
    if (absl::StartsWith(part, "\"") || absl::StartsWith(part, "'")) {
      return absl::InvalidArgumentError(
          "has a quote that does not end before a '#' or the end of its line");
    }
  }
  const bool is_one_value = IsBool(option) ||
                            std::holds_alternative<Choice>(option.target) ||
                            std::holds_alternative<std::string*>(option.target);
  if (parts.size() > 1 && is_one_value) {
    return absl::InvalidArgumentError(
        "has several values; text with blanks or commas needs quotes, and a "
        "key may appear once");
  }
  return absl::StrJoin(parts, ",");
}

absl::StatusOr<std::vector<CLI::ConfigItem>> ReadItems(
    const std::string& path) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  // A folder can be opened, not read.
  if (file.is_open()) file.peek();
  if (!file.is_open() || file.bad()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--", kConfigFileOption, ": ",
                     PathError(errno, "read", path).message()));
  }
  file.clear();
  try {
    return CLI::ConfigTOML().from_config(file);
  } catch (const std::exception& error) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": ", error.what()));
  }
}

absl::Status ReadFile(const Program& program, absl::Span<const Option> table,
                      const std::string& path, ProgramOptions* options) {
  const absl::StatusOr<std::vector<CLI::ConfigItem>> items = ReadItems(path);
  if (!items.ok()) return items.status();
  const std::set<std::string> known = NamesOf(options->given);
  std::set<std::pair<std::string, std::string>> seen;
  for (const CLI::ConfigItem& item : *items) {
    if (item.name == "++" || item.name == "--") continue;  // Of a section.
    const std::string section = absl::StrJoin(item.parents, ".");
    const std::string key = absl::StrCat(path, ": key ", ShownText(item.name));
    if (!section.empty() && section != program.section) {
      if (std::find(program.sections.begin(), program.sections.end(),
                    section) != program.sections.end()) {
        continue;  // Another command's.
      }
      return absl::InvalidArgumentError(
          absl::StrCat(path, ": unknown section ", ShownText(section)));
    }
    const Option* const option = FindOption(table, item.name);
    if (option == nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ": unknown key ", ShownText(item.name),
                       NearMiss(table, item.name, "")));
    }
    if (!seen.insert({section, item.name}).second) {
      return absl::InvalidArgumentError(absl::StrCat(key, " appears twice"));
    }
    const absl::StatusOr<std::string> text = ValueInFile(*option, item.inputs);
    if (!text.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat(key, " ", text.status().message()));
    }
    if (known.count(item.name) > 0) continue;
    options->given.push_back(
        {item.name, *text, absl::StrCat("from the file ", path)});
  }
  return absl::OkStatus();
}

}  // namespace

Environment OwnEnvironment() {
  Environment variables;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::pair<std::string, std::string> variable =
        absl::StrSplit(*entry, absl::MaxSplits('=', 1));
    variables.insert(variable);
  }
  return variables;
}

absl::StatusOr<ProgramOptions> FindOptions(
    const Program& program, absl::Span<const Option> table,
    absl::Span<const std::string> arguments, const Environment& environment) {
  ProgramOptions options;
  const size_t num_flags =
      std::find(arguments.begin(), arguments.end(), "--") - arguments.begin();
  const absl::Span<const std::string> operands =
      arguments.subspan(std::min(num_flags + 1, arguments.size()));
  arguments = arguments.first(num_flags);
  const auto asks_for = [&arguments](const char* flag) {
    return std::find(arguments.begin(), arguments.end(), flag) !=
           arguments.end();
  };
  if (asks_for("--help") || asks_for("-h")) {
    options.text = HelpText(program, table);
    return options;
  }
  for (absl::string_view argument : arguments) {
    if (!absl::ConsumePrefix(&argument, "--help=")) continue;
    absl::StatusOr<std::string> text = HelpInForm(program, table, argument);
    if (!text.ok()) return text.status();
    options.text = *std::move(text);
    return options;
  }
  if (asks_for("--version") &&
      (arguments.size() == 1 || FindOption(table, kVersionOption) == nullptr)) {
    options.text = VersionText(program.name);
    return options;
  }
  std::string file;
  const std::vector<Option> all = WithGeneralOptions(table, &file);
  if (absl::Status s =
          ReadArguments(program, all, arguments, operands, &options);
      !s.ok()) {
    return s;
  }
  if (absl::Status s = ReadEnvironment(program, all, environment, &options);
      !s.ok()) {
    return s;
  }
  for (auto given = options.given.begin(); given != options.given.end();) {
    if (given->name != kConfigFileOption) {
      ++given;
      continue;
    }
    if (absl::Status s = StoreOption(all, *given); !s.ok()) return s;
    given = options.given.erase(given);
  }
  if (!file.empty()) {
    if (absl::Status s = ReadFile(program, table, file, &options); !s.ok()) {
      return s;
    }
  }
  return options;
}

absl::Status StoreOption(absl::Span<const Option> table,
                         const GivenOption& given) {
  const Option* const option = FindOption(table, given.name);
  if (option == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat(
        "unknown flag --", given.name, NearMiss(table, given.name, "--")));
  }
  const absl::Status stored = SetOption(*option, given.text);
  if (stored.ok()) return stored;
  return absl::InvalidArgumentError(
      absl::StrCat("--", given.name, " is ", ShownText(given.text), ", ",
                   stored.message(), given.origin.empty() ? "" : " (",
                   given.origin, given.origin.empty() ? "" : ")"));
}

absl::StatusOr<ProgramOptions> ParseOptions(
    const Program& program, absl::Span<const Option> table,
    absl::Span<const std::string> arguments, const Environment& environment) {
  absl::StatusOr<ProgramOptions> options =
      FindOptions(program, table, arguments, environment);
  if (!options.ok() || !options->text.empty()) return options;
  for (const GivenOption& given : options->given) {
    if (absl::Status s = StoreOption(table, given); !s.ok()) return s;
  }
  const std::set<std::string> known = NamesOf(options->given);
  for (const Option& option : table) {
    if (option.default_text == kRequired && known.count(option.name) == 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("--", option.name, " is required, as --", option.name,
                       "=", OptionPlaceholder(option)));
    }
  }
  return options;
}

}  // namespace ddgan
