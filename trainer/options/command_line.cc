#include "trainer/options/command_line.h"

#include <optional>
#include <variant>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "trainer/options/option_table.h"

namespace ddgan {
namespace {

constexpr char kConfig[] = "config";
constexpr char kUsage[] =
    R"(ddgan-train: trains a denoising diffusion GAN and publishes versions of it
into a model directory.

  ddgan-train --list
  ddgan-train --config=cifar10 --data=DIR --out=MODEL_ROOT
  ddgan-train --config=my.json --data=DIR --out=MODEL_ROOT --batch_size=64

A flag overrides the configuration, which overrides the defaults below: those of
CIFAR-10's networks, and of the published program for the rest. Interrupt a run
at any time (Ctrl-C, SIGTERM): it saves its state, publishes, and the same
command goes on from there.

  --config
      a configuration's name (--list), or the path of a JSON file (with a '/' or
      .json at its end) whose keys are names of flags
  --list
      print the configurations that are built in, and end
  --help
      print this, and end
)";

bool IsBool(const std::string& name) {
  const Option* const option = FindOption(name);
  TrainerOptions scratch;
  return option != nullptr &&
         std::holds_alternative<bool*>(option->field(scratch));
}

std::string ValueText(const Option& option, const TrainerOptions& options) {
  const nlohmann::json value = OptionValue(option, options);
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_array()) return value.dump();
  return absl::StrJoin(value.get<std::vector<int>>(), ",");
}

// `text` in lines of at most 80 columns.
std::string Wrapped(const std::string& text) {
  constexpr size_t kColumns = 80;
  constexpr char kIndent[] = "     ";
  std::string wrapped, line = kIndent;
  for (const absl::string_view word : absl::StrSplit(text, ' ')) {
    if (line.size() + 1 + word.size() > kColumns) {
      absl::StrAppend(&wrapped, line, "\n");
      line = kIndent;
    }
    absl::StrAppend(&line, " ", word);
  }
  return absl::StrCat(wrapped, line, "\n");
}

}  // namespace

absl::StatusOr<CommandLine> ParseCommandLine(
    const std::vector<std::string>& arguments) {
  CommandLine line;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (!absl::StartsWith(argument, "--") || argument.size() == 2) {
      return absl::InvalidArgumentError(
          absl::StrCat("unexpected argument '", argument,
                       "': flags begin with --, and --help lists them"));
    }
    const size_t equals = argument.find('=');
    std::string name = argument.substr(2, equals - 2);
    std::optional<std::string> value;
    if (equals != std::string::npos) value = argument.substr(equals + 1);
    if (name == "help") {
      line.help = true;
      continue;
    }
    if (name == "list" && !value) {
      line.list = true;
      continue;
    }
    if (!value && IsBool(name)) {
      value = "true";
    } else if (!value && absl::StartsWith(name, "no") &&
               IsBool(name.substr(2))) {
      name.erase(0, 2);
      value = "false";
    }
    if (name != kConfig && FindOption(name) == nullptr)
      return UnknownOption(absl::StrCat("unknown flag --", name), name);
    if (!value) {
      if (i + 1 == arguments.size() ||
          absl::StartsWith(arguments[i + 1], "--")) {
        return absl::InvalidArgumentError(
            absl::StrCat("--", name, " needs a value, as --", name, "=..."));
      }
      value = arguments[++i];
    }
    if (name == kConfig) {
      line.config = *value;
    } else {
      line.flags.push_back({name, *value});
    }
  }
  return line;
}

std::string HelpText() {
  std::string text = kUsage;
  std::string group;
  const TrainerOptions defaults = ResolveOptions("", {}).value();
  for (const Option& option : OptionTable()) {
    if (group != option.group) {
      group = option.group;
      absl::StrAppend(&text, "\n", group, ":\n");
    }
    const std::string allowed = AllowedValues(option);
    absl::StrAppend(
        &text, "  --", option.name, "=", ValueText(option, defaults), "\n",
        Wrapped(allowed.empty()
                    ? option.help
                    : absl::StrCat(option.help, " (", allowed, ")")));
  }
  return text;
}

}  // namespace ddgan
