#include "engine/base/help_forms.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "engine/base/general_options.h"
#include "engine/base/manual_page.h"
#include "engine/base/shell_completion.h"

namespace ddgan {
namespace {

// What comes before a text's first semicolon or full stop; a full stop within a
// word is none.
std::string InAFewWords(absl::string_view help) {
  size_t end = help.size();
  for (const absl::string_view stop : {"; ", ". "}) {
    end = std::min(end, help.find(stop));
  }
  return std::string(help.substr(0, end));
}

// The words, apart from flags and what stands for something, that may come
// first: "pin" of "pin MODEL VERSION [flags]", both of "strip|grid --out=DIR".
std::vector<std::string> FirstWords(const Program& program) {
  std::vector<std::string> words;
  for (const std::string& usage : program.usage) {
    for (const absl::string_view word :
         absl::StrSplit(usage.substr(0, usage.find(' ')), '|')) {
      const bool is_word =
          std::all_of(word.begin(), word.end(), [](unsigned char c) {
            return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '_';
          });
      if (is_word && std::find(words.begin(), words.end(), word) == words.end())
        words.emplace_back(word);
    }
  }
  return words;
}

std::string FlagLines(const Program& program, absl::Span<const Option> table) {
  std::string lines;
  for (const std::string& word : FirstWords(program)) {
    absl::StrAppend(&lines, word, "\t\n");
  }
  std::string file;
  for (const Option& option : WithGeneralOptions(table, &file)) {
    const std::string value = OptionPlaceholder(option);
    const std::string help = InAFewWords(option.help);
    absl::StrAppend(&lines, "--", option.name, value.empty() ? "" : "=", value,
                    "\t", help, "\n");
    if (program.negations && std::holds_alternative<bool*>(option.target)) {
      absl::StrAppend(&lines, "--no", option.name, "\tnot: ", help, "\n");
    }
  }
  absl::StrAppend(&lines, "--", kHelpOption,
                  "\tprint what there is, and end\n");
  if (FindOption(table, kVersionOption) == nullptr) {
    absl::StrAppend(&lines, "--", kVersionOption,
                    "\tprint the version, and end\n");
  }
  return lines;
}

absl::Status NoSuchForm(absl::string_view form, absl::string_view forms) {
  return absl::InvalidArgumentError(absl::StrCat(
      "--help is ", ShownText(std::string(form)), ", must be one of: ", forms));
}

constexpr char kUsage[] = "COMMAND [flags]";

// "  generate     make images and write them to files\n" and so on.
std::string CommandLines(const ProgramOfCommands& program) {
  std::string lines;
  for (const CommandSummary& command : program.commands) {
    absl::StrAppendFormat(&lines, "  %-12s %s\n", command.name,
                          command.summary);
  }
  return lines;
}

std::string PageOf(absl::string_view program, absl::string_view command) {
  return absl::StrCat(program, "-", command);
}

}  // namespace

absl::StatusOr<std::string> HelpInForm(const Program& program,
                                       absl::Span<const Option> table,
                                       absl::string_view form) {
  const std::vector<std::string> words = absl::StrSplit(program.name, ' ');
  const bool is_command = words.size() > 1;
  if (form == "flags") return FlagLines(program, table);
  if (form == "man") {
    std::vector<std::string> see_also;
    if (is_command) see_also.push_back(words[0]);
    for (const std::string& command : program.sections) {
      if (command != program.section) {
        see_also.push_back(PageOf(words[0], command));
      }
    }
    return ManualPage(program, table, see_also);
  }
  if (is_command) return NoSuchForm(form, "man, flags");
  const std::vector<CompletedCommand> whole = {
      {.name = "", .summary = "", .flags = FlagLines(program, table)}};
  if (form == "bash") return BashCompletion(program.name, whole);
  if (form == "zsh") return ZshCompletion(program.name, whole);
  return NoSuchForm(form, "man, bash, zsh, flags");
}

std::string OverviewText(const ProgramOfCommands& program) {
  return absl::StrCat(program.about, "\nusage: ", program.name, " ", kUsage,
                      "\n\n", CommandLines(program), "\n", program.notes);
}

absl::StatusOr<std::string> HelpInForm(const ProgramOfCommands& program,
                                       absl::string_view form) {
  std::vector<CompletedCommand> commands;
  std::vector<std::string> pages;
  for (const CommandSummary& command : program.commands) {
    commands.push_back({.name = command.name,
                        .summary = command.summary,
                        .flags = program.flags(command.name)});
    pages.push_back(PageOf(program.name, command.name));
  }
  if (form == "bash") return BashCompletion(program.name, commands);
  if (form == "zsh") return ZshCompletion(program.name, commands);
  if (form != "man") return NoSuchForm(form, "man, bash, zsh");
  return ManualPage(
      {.name = program.name,
       .environment = "",
       .usage = {kUsage},
       .about = absl::StrCat(program.about, "\n", CommandLines(program)),
       .notes = program.notes,
       .summary = program.summary},
      {}, pages);
}

}  // namespace ddgan
