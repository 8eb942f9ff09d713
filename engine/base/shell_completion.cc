#include "engine/base/shell_completion.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"

namespace ddgan {
namespace {

// A line of the form flags.
struct Line {
  absl::string_view word;   // "--count" or "pin".
  bool has_value = false;   // "--count=".
  absl::string_view value;  // "N": what stands for the value.
  absl::string_view what;
};

std::vector<Line> LinesOf(absl::string_view flags) {
  std::vector<Line> lines;
  for (const absl::string_view text :
       absl::StrSplit(flags, '\n', absl::SkipEmpty())) {
    const std::pair<absl::string_view, absl::string_view> parts =
        absl::StrSplit(text, absl::MaxSplits('\t', 1));
    const std::pair<absl::string_view, absl::string_view> flag =
        absl::StrSplit(parts.first, absl::MaxSplits('=', 1));
    lines.push_back({flag.first, absl::StrContains(parts.first, "="),
                     flag.second, parts.second});
  }
  return lines;
}

bool IsFlag(const Line& line) { return absl::StartsWith(line.word, "--"); }

// The words that stand for a value, if it is one of a few: "png|raw8".
std::vector<std::string> Choices(absl::string_view value) {
  const bool is_choice =
      absl::StrContains(value, "|") &&
      std::none_of(value.begin(), value.end(), absl::ascii_isupper);
  return is_choice ? absl::StrSplit(value, '|') : std::vector<std::string>();
}

bool IsFile(absl::string_view value) {
  return absl::StrContains(value, "FILE") || absl::StrContains(value, "PATH");
}
bool IsFolder(absl::string_view value) {
  return absl::StrContains(value, "DIR") || absl::StrContains(value, "ROOT");
}

// As one word of a shell.
std::string Quoted(absl::string_view text) {
  return absl::StrCat("'", absl::StrReplaceAll(text, {{"'", "'\\''"}}), "'");
}

// The name of the script's function: "_ddgan_server".
std::string FunctionName(const std::string& program) {
  return absl::StrCat("_", absl::StrReplaceAll(program, {{"-", "_"}}));
}

std::string OperandsOf(const std::vector<Line>& lines) {
  std::vector<absl::string_view> words;
  for (const Line& line : lines) {
    if (!IsFlag(line)) words.push_back(line.word);
  }
  return absl::StrJoin(words, " ");
}

// What bash completes after a flag, for the `case` of the function below.
std::string BashValue(absl::string_view value) {
  const std::vector<std::string> choices = Choices(value);
  if (!choices.empty()) return absl::StrJoin(choices, " ");
  if (IsFile(value)) return "<file>";
  return IsFolder(value) ? "<folder>" : "<none>";
}

std::string BashCase(const CompletedCommand& command) {
  const std::vector<Line> lines = LinesOf(command.flags);
  std::vector<std::string> flags;
  std::string values;
  for (const Line& line : lines) {
    if (!IsFlag(line)) continue;
    flags.push_back(absl::StrCat(line.word, line.has_value ? "=" : ""));
    if (line.has_value) {
      absl::StrAppend(&values, "        ", line.word,
                      ") values=", Quoted(BashValue(line.value)), " ;;\n");
    }
  }
  return absl::StrCat("    ", Quoted(command.name),
                      ")\n      flags=", Quoted(absl::StrJoin(flags, " ")),
                      "\n      operands=", Quoted(OperandsOf(lines)),
                      "\n      case $flag in\n", values,
                      "      esac\n      ;;\n");
}

// $1 is the function's name, $2 the program's, $3 the cases, $4 the commands.
constexpr char kBash[] =
    R"(# Completion of $2 for bash, as `$2 --help=bash` prints it.
$1() {
  local current=${COMP_WORDS[COMP_CWORD]} flag= before= command= flags= operands= values=
  # The flag whose value is being typed. Bash takes "=" for a word of its own,
  # unless COMP_WORDBREAKS lacks it.
  if [[ $current == --*=* ]]; then
    flag=${current%%=*} before=${current%%=*}=
    current=${current#*=}
  elif [[ $current == "=" ]]; then
    flag=${COMP_WORDS[COMP_CWORD - 1]}
    current=
  elif ((COMP_CWORD > 1)) && [[ ${COMP_WORDS[COMP_CWORD - 1]} == "=" ]]; then
    flag=${COMP_WORDS[COMP_CWORD - 2]}
  elif [[ $current != -* ]]; then
    flag=${COMP_WORDS[COMP_CWORD - 1]}
  fi
  local commands=$4
  if [[ $commands ]]; then
    if ((COMP_CWORD == 1)); then
      COMPREPLY=($(compgen -W "$commands --help --version" -- "$current"))
      return
    fi
    command=${COMP_WORDS[1]}
  fi
  case $command in
$3  esac
  COMPREPLY=()
  case $values in
    '<none>') ;;
    '<file>' | '<folder>')
      local action=-f
      if [[ $values == '<folder>' ]]; then action=-d; fi
      mapfile -t COMPREPLY < <(compgen "$action" -- "$current")
      compopt -o filenames 2>/dev/null
      ;;
    ?*) COMPREPLY=($(compgen -W "$values" -- "$current")) ;;
    *)
      if [[ $current == -* ]]; then
        COMPREPLY=($(compgen -W "$flags" -- "$current"))
        if [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *= ]]; then
          compopt -o nospace 2>/dev/null
        fi
      elif [[ $operands ]]; then
        COMPREPLY=($(compgen -W "$operands" -- "$current"))
      else
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
        compopt -o filenames 2>/dev/null
      fi
      ;;
  esac
  COMPREPLY=("${COMPREPLY[@]/#/$before}")
}
complete -F $1 $2
)";

// In a specification of zsh's _arguments.
std::string ZshEscaped(absl::string_view text) {
  return absl::StrReplaceAll(
      text, {{"\\", "\\\\"}, {"[", "\\["}, {"]", "\\]"}, {":", "\\:"}});
}

std::string ZshSpec(const Line& line) {
  std::string spec = absl::StrCat(line.word, line.has_value ? "=" : "", "[",
                                  ZshEscaped(line.what), "]");
  if (!line.has_value) return spec;
  const std::vector<std::string> choices = Choices(line.value);
  absl::StrAppend(&spec, ":", ZshEscaped(line.value), ":");
  if (!choices.empty()) {
    absl::StrAppend(&spec, "(", absl::StrJoin(choices, " "), ")");
  } else if (IsFile(line.value)) {
    absl::StrAppend(&spec, "_files");
  } else if (IsFolder(line.value)) {
    absl::StrAppend(&spec, "_files -/");
  } else {
    absl::StrAppend(&spec, " ");
  }
  return spec;
}

std::string ZshArguments(const CompletedCommand& command) {
  const std::vector<Line> lines = LinesOf(command.flags);
  std::string text = "      _arguments";
  for (const Line& line : lines) {
    if (IsFlag(line)) {
      absl::StrAppend(&text, " \\\n        ", Quoted(ZshSpec(line)));
    }
  }
  const std::string operands = OperandsOf(lines);
  return absl::StrCat(text, " \\\n        ",
                      operands.empty()
                          ? "'*:file:_files'"
                          : Quoted(absl::StrCat("1:what:(", operands, ")")),
                      "\n");
}

}  // namespace

std::string BashCompletion(const std::string& program,
                           absl::Span<const CompletedCommand> commands) {
  std::string cases;
  std::vector<std::string> names;
  for (const CompletedCommand& command : commands) {
    absl::StrAppend(&cases, BashCase(command));
    if (!command.name.empty()) names.push_back(command.name);
  }
  return absl::StrReplaceAll(kBash,
                             {{"$1", FunctionName(program)},
                              {"$2", program},
                              {"$3", cases},
                              {"$4", Quoted(absl::StrJoin(names, " "))}});
}

std::string ZshCompletion(const std::string& program,
                          absl::Span<const CompletedCommand> commands) {
  const std::string function = FunctionName(program);
  std::string names;
  std::string cases;
  for (const CompletedCommand& command : commands) {
    if (command.name.empty()) continue;
    absl::StrAppend(&names, "    ",
                    Quoted(absl::StrCat(command.name, ":", command.summary)),
                    "\n");
    absl::StrAppend(&cases, "    ", command.name, ")\n", ZshArguments(command),
                    "      ;;\n");
  }
  std::string body = names.empty()
                         ? ZshArguments(commands.front())
                         : absl::StrCat("  local -a commands=(\n", names,
                                        "  )\n"
                                        "  if ((CURRENT == 2)); then\n"
                                        "    _describe command commands\n"
                                        "    return\n"
                                        "  fi\n"
                                        "  local command=$words[2]\n"
                                        "  shift words\n"
                                        "  ((CURRENT--))\n"
                                        "  case $command in\n",
                                        cases, "  esac\n");
  return absl::StrCat("#compdef ", program, "\n# Completion of ", program,
                      " for zsh, as `", program, " --help=zsh` prints it.\n",
                      function, "() {\n", body, "}\n", function, " \"$@\"\n");
}

}  // namespace ddgan
