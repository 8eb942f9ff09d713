#include "engine/base/manual_page.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "engine/base/general_options.h"

namespace ddgan {
namespace {

using Lines = std::vector<absl::string_view>;

// `text` in one line as roff prints it: nothing in it is a command, and what
// typesetting would turn into another sign stays what a shell reads.
std::string Escaped(absl::string_view text) {
  std::string escaped = absl::StrReplaceAll(text, {{"\\", "\\e"},
                                                   {"-", "\\-"},
                                                   {"'", "\\(aq"},
                                                   {"`", "\\(ga"},
                                                   {"^", "\\(ha"},
                                                   {"~", "\\(ti"},
                                                   {"\"", "\\(dq"}});
  if (absl::StartsWith(escaped, ".")) escaped.insert(0, "\\&");
  return escaped;
}

size_t Indent(absl::string_view line) {
  return std::min(line.find_first_not_of(' '), line.size());
}

std::string Term(absl::string_view term, absl::string_view what) {
  return absl::StrCat(".TP\n\\fB", Escaped(term), "\\fR\n", Escaped(what),
                      "\n");
}

struct TermOfList {
  absl::string_view term;
  std::string what;
};

// Empty unless the indented lines are a list.
std::vector<TermOfList> TermsOf(const Lines& lines) {
  std::vector<TermOfList> terms;
  const size_t indent = Indent(lines.front());
  for (const absl::string_view line : lines) {
    if (absl::EndsWith(line, "\\")) return {};  // Of an example's command.
    absl::string_view text = absl::StripLeadingAsciiWhitespace(line);
    if (Indent(line) > indent) {
      if (terms.empty()) return {};
      absl::StrAppend(&terms.back().what, terms.back().what.empty() ? "" : " ",
                      text);
      continue;
    }
    const size_t gap = std::min(text.find("  "), text.size());
    terms.push_back(
        {text.substr(0, gap),
         std::string(absl::StripLeadingAsciiWhitespace(text.substr(gap)))});
  }
  const bool is_list =
      std::none_of(terms.begin(), terms.end(),
                   [](const TermOfList& term) { return term.what.empty(); });
  return is_list ? terms : std::vector<TermOfList>();
}

std::string Indented(const Lines& lines) {
  const std::vector<TermOfList> terms = TermsOf(lines);
  std::string page;
  for (const TermOfList& term : terms) {
    absl::StrAppend(&page, Term(term.term, term.what));
  }
  if (!terms.empty()) return page;
  page = ".PP\n.EX\n";
  const size_t indent = Indent(lines.front());
  for (const absl::string_view line : lines) {
    absl::StrAppend(&page, Escaped(line.substr(std::min(indent, Indent(line)))),
                    "\n");
  }
  return absl::StrCat(page, ".EE\n");
}

// `text` is of pages already. A section begins a paragraph by itself.
std::string Section(absl::string_view name, absl::string_view text) {
  return absl::StrCat(".SH ", name, "\n", absl::StripPrefix(text, ".PP\n"));
}

// "ddgan generate" has the page ddgan-generate.
std::string PageName(const Program& program) {
  return absl::StrReplaceAll(program.name, {{" ", "-"}});
}

std::string Flag(const Option& option) {
  const std::string value = OptionPlaceholder(option);
  const std::string limits = OptionLimits(option);
  return absl::StrCat(".TP\n\\fB\\-\\-", Escaped(option.name), "\\fR",
                      value.empty() ? "" : "=\\fI", Escaped(value),
                      value.empty() ? "" : "\\fR", limits.empty() ? "" : "  (",
                      Escaped(limits), limits.empty() ? "" : ")", "\n",
                      Escaped(option.help), "\n");
}

std::string Flags(const Program& program, absl::Span<const Option> table) {
  std::string page = Section("FLAGS", "");
  std::string file;
  absl::string_view group;
  for (const Option& option : WithGeneralOptions(table, &file)) {
    if (group != option.group) {
      group = option.group;
      absl::StrAppend(&page, ".SS \"", Escaped(group), "\"\n");
    }
    absl::StrAppend(&page, Flag(option));
  }
  return absl::StrCat(page, Term("--help", "print all this in short, and end"),
                      Term("--version", "alone: print the version, and end"),
                      Section("WHERE FLAGS ARE SET",
                              Escaped(WhereOptionsAreSet(program, table))),
                      "\n");
}

}  // namespace

std::string ManualText(absl::string_view text) {
  std::string page;
  for (const absl::string_view block :
       absl::StrSplit(absl::StripSuffix(text, "\n"), "\n\n")) {
    // A paragraph may go on with an indented block without a line between.
    Lines plain;
    Lines indented;
    for (const absl::string_view line : absl::StrSplit(block, '\n')) {
      (absl::StartsWith(line, " ") ? indented : plain).push_back(line);
    }
    if (!plain.empty()) {
      absl::StrAppend(&page, ".PP\n", Escaped(absl::StrJoin(plain, " ")), "\n");
    }
    if (!indented.empty()) absl::StrAppend(&page, Indented(indented));
  }
  return page;
}

std::string ManualPage(const Program& program, absl::Span<const Option> table,
                       const std::vector<std::string>& see_also) {
  const std::string version(absl::StripSuffix(VersionText(program.name), "\n"));
  std::string page = absl::StrCat(
      ".\\\" Made by ", program.name, " --help=man.\n.TH ",
      Escaped(absl::AsciiStrToUpper(PageName(program))), " 1 \"\" \"",
      Escaped(version), "\" \"User Commands\"\n.nh\n.ad l\n",
      Section("NAME", ""), Escaped(PageName(program)), " \\- ",
      Escaped(program.summary), "\n", Section("SYNOPSIS", ".nf\n"));
  for (const std::string& usage : program.usage) {
    absl::StrAppend(&page, "\\fB", Escaped(program.name), "\\fR ",
                    Escaped(usage), "\n");
  }
  absl::StrAppend(&page, ".fi\n",
                  Section("DESCRIPTION", ManualText(program.about)));
  if (!table.empty()) absl::StrAppend(&page, Flags(program, table));
  if (!program.notes.empty()) {
    absl::StrAppend(&page, Section("NOTES", ManualText(program.notes)));
  }
  if (!see_also.empty()) {
    absl::StrAppend(
        &page, Section("SEE ALSO", ""),
        absl::StrJoin(see_also, ",\n",
                      [](std::string* out, const std::string& name) {
                        absl::StrAppend(out, "\\fB", Escaped(name), "\\fR(1)");
                      }),
        "\n");
  }
  return page;
}

}  // namespace ddgan
