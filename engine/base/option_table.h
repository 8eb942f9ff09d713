// The options of a program as a table. One row says everything about an option:
// flags, environment variables, files, range checks and --help are made from it
// (program_options.h). Thread-compatible.
#ifndef DDGAN_ENGINE_BASE_OPTION_TABLE_H_
#define DDGAN_ENGINE_BASE_OPTION_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"

namespace ddgan {

// One of a few words.
struct Choice {
  std::vector<std::string> words;
  std::function<void(size_t)> set;    // To the word of this index.
  std::function<std::string()> text;  // The present word; null: unknown.
};

// `target` becomes the value beside the word; it must outlive the result.
template <typename Value>
Choice OneOf(Value* target,
             std::vector<std::pair<const char*, Value>> choices) {
  Choice choice;
  std::vector<Value> values;
  for (auto& [word, value] : choices) {
    choice.words.push_back(word);
    values.push_back(std::move(value));
  }
  choice.set = [target, values](size_t i) { *target = values[i]; };
  choice.text = [target, values, words = choice.words] {
    for (size_t i = 0; i < values.size(); ++i) {
      if (values[i] == *target) return words[i];
    }
    return std::string();
  };
  return choice;
}
// `target` becomes the word.
Choice OneOf(std::string* target, const std::vector<const char*>& words);

// A number of units of 2^`shift` bytes each.
struct Bytes {
  int64_t* target;
  int shift;
};

// A time that may also be a plain number, which then is of seconds.
struct TimeOrSeconds {
  absl::Duration* target;
};

// For a number with no variable of its own.
using NumberSetter = std::function<void(uint64_t)>;
// Reads and stores a text of its own form. An error's message says what is
// wanted, as "must be host:port".
using TextReader = std::function<absl::Status(absl::string_view)>;

// Where a value goes, and thereby what it is. Pointers are not null and outlive
// the row. Lists are separated by commas.
using OptionTarget =
    std::variant<bool*, int*, int64_t*, uint32_t*, uint64_t*, Bytes,
                 NumberSetter, double*, std::string*, Choice, absl::Duration*,
                 TimeOrSeconds, std::vector<int>*, std::vector<absl::Duration>*,
                 TextReader>;

// Which values are allowed: a number in its unit, a time in seconds, the length
// of a text in bytes, or each element of a list. Others have no range.
struct OptionRange {
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();

  bool is_any() const { return *this == OptionRange(); }
  friend bool operator==(const OptionRange&, const OptionRange&) = default;
};

inline constexpr OptionRange kAny = {};
inline constexpr OptionRange kNotEmpty = {.low = 1};
constexpr OptionRange Between(double low, double high) { return {low, high}; }
constexpr OptionRange AtLeast(double low) { return {.low = low}; }
inline OptionRange Between(absl::Duration low, absl::Duration high) {
  return {absl::ToDoubleSeconds(low), absl::ToDoubleSeconds(high)};
}

// A default that says that there is none.
inline constexpr char kRequired[] = "required";

struct Option {
  const char* name;   // With underscores and without "--".
  const char* group;  // Heading in --help; rows of a group are neighbours.
  // What stands for the value in --help: "DIR", "MiB", "steps". Empty: what
  // goes with the target, as "N" or "true|false".
  const char* unit;
  OptionTarget target;
  OptionRange range;
  std::string help;
  // For --help; empty: what `target` holds when the help is made.
  std::string default_text = "";
};

// Null if no row has this name.
const Option* FindOption(absl::Span<const Option> table,
                         absl::string_view name);

// "; did you mean PREFIXname?" with the row's name that is nearest to `name`,
// or, if none is near, "; --help lists the flags".
std::string NearMiss(absl::Span<const Option> table, absl::string_view name,
                     absl::string_view prefix);

// Stores what `text` says. InvalidArgument whose message says what is wanted,
// as "must be a whole number in [1, 64]", for a text of another type or out of
// range; the target then keeps its value. An empty text is an empty list where
// its elements have no range.
absl::Status SetOption(const Option& option, const std::string& text);

// What SetOption would read; empty for a NumberSetter or a TextReader.
std::string OptionText(const Option& option);

// `text` for a message: as it is, or in quotes, escaped and cut short.
std::string ShownText(const std::string& text);

// "DIR", "N", "auto|never": what stands for the value in --help. Empty for a
// bool, whose flag needs none.
std::string OptionPlaceholder(const Option& option);

// "in [1, 64]; default 2", either alone, or nothing.
std::string OptionLimits(const Option& option);

}  // namespace ddgan

#endif  // DDGAN_ENGINE_BASE_OPTION_TABLE_H_
