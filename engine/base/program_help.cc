#include <cstddef>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "engine/base/general_options.h"
#include "engine/base/option_table.h"
#include "engine/base/program_options.h"

namespace ddgan {
namespace {

constexpr size_t kColumns = 80;

// `text` in lines that begin with `indent` blanks, the first with `first`.
std::string Wrapped(absl::string_view text, size_t first, size_t indent) {
  std::string wrapped;
  std::string line(first, ' ');
  size_t begin = first;
  for (const absl::string_view word : absl::StrSplit(text, ' ')) {
    if (line.size() > begin && line.size() + 1 + word.size() > kColumns) {
      absl::StrAppend(&wrapped, line, "\n");
      line.assign(indent, ' ');
      begin = indent;
    }
    absl::StrAppend(&line, line.size() > begin ? " " : "", word);
  }
  return absl::StrCat(wrapped, line, "\n");
}

std::string FlagHelp(absl::string_view name, absl::string_view value,
                     absl::string_view limits, absl::string_view help) {
  constexpr size_t kNameIndent = 2;
  constexpr size_t kHelpIndent = 6;
  return absl::StrCat(Wrapped(absl::StrCat("--", name, value.empty() ? "" : "=",
                                           value, limits.empty() ? "" : "  (",
                                           limits, limits.empty() ? "" : ")"),
                              kNameIndent, kHelpIndent),
                      Wrapped(help, kHelpIndent, kHelpIndent));
}

}  // namespace

std::string HelpText(const Program& program, absl::Span<const Option> table) {
  std::string text;
  for (const std::string& usage : program.usage) {
    absl::StrAppend(&text, text.empty() ? "usage: " : "       ", program.name,
                    " ", usage, "\n");
  }
  absl::StrAppend(&text, "\n", program.about);
  std::string file;
  absl::string_view group;
  for (const Option& option : WithGeneralOptions(table, &file)) {
    if (group != option.group) {
      group = option.group;
      absl::StrAppend(&text, "\n", group, ":\n");
    }
    absl::StrAppend(&text, FlagHelp(option.name, OptionPlaceholder(option),
                                    OptionLimits(option), option.help));
  }
  absl::StrAppend(
      &text,
      FlagHelp(kHelpOption, "", "",
               program.name.find(' ') == std::string::npos
                   ? "print this, and end; =man, =bash and =zsh print a manual "
                     "page and what completes the program in a shell"
                   : "print this, and end; =man prints a manual page"));
  absl::StrAppend(&text, FlagHelp(kVersionOption, "", "",
                                  FindOption(table, kVersionOption) == nullptr
                                      ? "print the version, and end"
                                      : "alone: print the program's version, "
                                        "and end"));
  absl::StrAppend(&text, "\n",
                  Wrapped(WhereOptionsAreSet(program, table), 0, 0));
  if (!program.notes.empty()) absl::StrAppend(&text, "\n", program.notes);
  return text;
}

std::string VersionText(const std::string& program) {
  return absl::StrCat(program.substr(0, program.find(' ')), " ", DDGAN_VERSION,
                      "\n");
}

}  // namespace ddgan
