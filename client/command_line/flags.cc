#include "client/command_line/flags.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace ddgan {
namespace {

constexpr size_t kHelpWidth = 80;
constexpr size_t kHelpIndent = 6;

// `text` as lines of at most kHelpWidth, each indented.
std::string Wrap(absl::string_view text) {
  std::string wrapped;
  std::string line;
  for (absl::string_view word : absl::StrSplit(text, ' ')) {
    if (!line.empty() &&
        kHelpIndent + line.size() + 1 + word.size() > kHelpWidth) {
      absl::StrAppend(&wrapped, std::string(kHelpIndent, ' '), line, "\n");
      line.clear();
    }
    absl::StrAppend(&line, line.empty() ? "" : " ", word);
  }
  absl::StrAppend(&wrapped, std::string(kHelpIndent, ' '), line, "\n");
  return wrapped;
}

// Below 0 if it is no time.
absl::Duration ReadDuration(const std::string& text) {
  absl::Duration duration;
  double seconds = 0.0;
  if (absl::SimpleAtod(text, &seconds)) {
    // Abseil takes a NaN for infinity.
    return std::isnan(seconds) ? -absl::InfiniteDuration()
                               : absl::Seconds(seconds);
  }
  return absl::ParseDuration(text, &duration) ? duration
                                              : -absl::InfiniteDuration();
}

}  // namespace

Flag TextFlag(std::string name, std::string placeholder, std::string help,
              std::string* target) {
  return {std::move(name), std::move(placeholder), std::move(help),
          [target](const std::string& value) {
            *target = value;
            return absl::OkStatus();
          }};
}

Flag SwitchFlag(std::string name, std::string help, bool* target) {
  return {std::move(name), "", std::move(help), [target](const std::string&) {
            *target = true;
            return absl::OkStatus();
          }};
}

Flag DurationFlag(std::string name, std::string help, absl::Duration* target) {
  return {std::move(name), "DURATION", std::move(help),
          [target](const std::string& value) {
            const absl::Duration duration = ReadDuration(value);
            if (duration <= absl::ZeroDuration()) {
              return absl::InvalidArgumentError(
                  "wanted a time above 0, such as 90s, 2m or 250ms");
            }
            *target = duration;
            return absl::OkStatus();
          }};
}

Flag DurationOrZeroFlag(std::string name, std::string help,
                        absl::Duration* target) {
  return {std::move(name), "DURATION", std::move(help),
          [target](const std::string& value) {
            const absl::Duration duration = ReadDuration(value);
            if (duration < absl::ZeroDuration()) {
              return absl::InvalidArgumentError(
                  "wanted 0 or a time such as 90s, 2m or 250ms");
            }
            *target = duration;
            return absl::OkStatus();
          }};
}

Flag NumberFlag(std::string name, std::string help, uint64_t min, uint64_t max,
                std::function<void(uint64_t)> store) {
  return {
      std::move(name), "N", std::move(help),
      [min, max, store = std::move(store)](const std::string& value) {
        uint64_t number = 0;
        if (!absl::SimpleAtoi(value, &number) || number < min || number > max) {
          return absl::InvalidArgumentError(
              absl::StrCat("wanted a whole number from ", min, " to ", max));
        }
        store(number);
        return absl::OkStatus();
      }};
}

Flag FractionFlag(std::string name, std::string placeholder, std::string help,
                  double min, double max, double* target) {
  return {std::move(name), std::move(placeholder), std::move(help),
          [min, max, target](const std::string& value) {
            double number = 0.0;
            // Not a number is in no range.
            if (!absl::SimpleAtod(value, &number) ||
                !(number >= min && number <= max)) {
              return absl::InvalidArgumentError(
                  absl::StrCat("wanted a number from ", min, " to ", max));
            }
            *target = number;
            return absl::OkStatus();
          }};
}

absl::Status ParseFlags(absl::Span<const std::string> arguments,
                        absl::Span<const Flag> flags,
                        std::vector<std::string>* operands) {
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (operands != nullptr && !absl::StartsWith(argument, "-")) {
      operands->push_back(argument);
      continue;
    }
    if (!absl::StartsWith(argument, "--") || argument.size() == 2) {
      return absl::InvalidArgumentError(
          absl::StrCat("'", argument, "' is not a flag"));
    }
    const size_t equals = argument.find('=');
    std::string name = argument.substr(2, equals - 2);
    std::replace(name.begin(), name.end(), '-', '_');
    const auto flag =
        std::find_if(flags.begin(), flags.end(),
                     [&](const Flag& f) { return f.name == name; });
    if (flag == flags.end()) {
      return absl::InvalidArgumentError(
          absl::StrCat("there is no flag --", name));
    }
    std::string value;
    if (flag->placeholder.empty()) {
      if (equals != std::string::npos) {
        return absl::InvalidArgumentError(
            absl::StrCat("--", name, " takes no value"));
      }
    } else if (equals != std::string::npos) {
      value = argument.substr(equals + 1);
    } else if (i + 1 < arguments.size()) {
      value = arguments[++i];
    } else {
      return absl::InvalidArgumentError(absl::StrCat(
          "--", name, " needs a value: --", name, "=", flag->placeholder));
    }
    if (absl::Status stored = flag->store(value); !stored.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("--", name, "=", value, ": ", stored.message()));
    }
  }
  return absl::OkStatus();
}

std::string FlagsHelp(absl::Span<const Flag> flags) {
  std::string help;
  for (const Flag& flag : flags) {
    absl::StrAppend(&help, "  --", flag.name,
                    flag.placeholder.empty() ? "" : "=", flag.placeholder, "\n",
                    Wrap(flag.help));
  }
  return help;
}

}  // namespace ddgan
