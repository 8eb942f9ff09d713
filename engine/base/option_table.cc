#include "engine/base/option_table.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "engine/base/strict_json.h"

namespace ddgan {
namespace {

// Of what a row's value is made, for messages and --help.
struct Kind {
  const char* one;
  const char* many;
  const char* placeholder;
  const char* example = "";
};
constexpr Kind kWhole = {"a whole number", "whole numbers", "N"};
constexpr Kind kReal = {"a number", "numbers", "X"};
constexpr Kind kTime = {"a time", "times", "TIME", ", such as 500ms or 10s"};

// What is different between the types that a single value or a list's element
// can have: reading, printing, and the range as values of the type.
template <typename T>
struct Type {  // Of an integer.
  static constexpr Kind kKind = kWhole;
  static bool Read(absl::string_view text, T* value) {
    return absl::SimpleAtoi(text, value);
  }
  static std::string Text(T value) { return absl::StrCat(value); }
  static T Low(const OptionRange& range) {
    constexpr T kLowest = std::numeric_limits<T>::lowest();
    return range.low > static_cast<double>(kLowest) ? static_cast<T>(range.low)
                                                    : kLowest;
  }
  static T High(const OptionRange& range) {
    constexpr T kHighest = std::numeric_limits<T>::max();
    return range.high < static_cast<double>(kHighest)
               ? static_cast<T>(range.high)
               : kHighest;
  }
};

template <>
struct Type<double> {
  static constexpr Kind kKind = kReal;
  static bool Read(absl::string_view text, double* value) {
    return absl::SimpleAtod(text, value) && !std::isnan(*value);
  }
  // The shortest decimal that is read as `value`.
  static std::string Text(double value) {
    const std::string text = absl::StrFormat("%.15g", value);
    double again = 0;
    return absl::SimpleAtod(text, &again) && again == value
               ? text
               : absl::StrFormat("%.17g", value);
  }
  static double Low(const OptionRange& range) { return range.low; }
  static double High(const OptionRange& range) { return range.high; }
};

template <>
struct Type<absl::Duration> {
  static constexpr Kind kKind = kTime;
  static bool Read(absl::string_view text, absl::Duration* value) {
    return absl::ParseDuration(text, value);
  }
  static std::string Text(absl::Duration value) {
    return value == absl::ZeroDuration() ? "0s" : absl::FormatDuration(value);
  }
  static absl::Duration Low(const OptionRange& range) {
    return absl::Seconds(range.low);
  }
  static absl::Duration High(const OptionRange& range) {
    return absl::Seconds(range.high);
  }
};

// "in [1, 64]" or "at least 1", of values of type T; empty if all are allowed.
// `with_type`: an integer type's own bounds are told, too.
template <typename T>
std::string RangeText(const OptionRange& range, bool with_type) {
  constexpr bool kInteger = std::numeric_limits<T>::is_integer;
  if (range.is_any() && !(kInteger && with_type)) return "";
  const std::string low = Type<T>::Text(Type<T>::Low(range));
  if (kInteger && !with_type && std::isinf(range.high)) {
    return absl::StrCat("at least ", low);
  }
  return absl::StrCat("in [", low, ", ", Type<T>::Text(Type<T>::High(range)),
                      "]");
}

absl::Status Wanted(absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("must be ", what));
}

// What is wanted of a text for one value or a list of type T.
template <typename T>
absl::Status WantedInRange(const OptionRange& range, bool list) {
  const std::string what = list
                               ? absl::StrCat("a list of ", Type<T>::kKind.many)
                               : Type<T>::kKind.one;
  const std::string allowed = RangeText<T>(range, /*with_type=*/!list);
  return Wanted(absl::StrCat(what, allowed.empty() ? "" : " ", allowed,
                             Type<T>::kKind.example));
}

template <typename T>
bool ReadInRange(absl::string_view text, const OptionRange& range, T* value) {
  return Type<T>::Read(text, value) && *value >= Type<T>::Low(range) &&
         *value <= Type<T>::High(range);
}

// Reads one text into whatever the target is.
struct Setter {
  absl::string_view text;
  const OptionRange& range;

  template <typename T, typename Store>
  absl::Status ReadOne(absl::string_view from, const Store& store) const {
    T value{};
    if (!ReadInRange(from, range, &value)) {
      return WantedInRange<T>(range, /*list=*/false);
    }
    store(value);
    return absl::OkStatus();
  }

  template <typename T>
  absl::Status operator()(T* target) const {
    return ReadOne<T>(text, [target](T value) { *target = value; });
  }
  absl::Status operator()(const Bytes& bytes) const {
    return ReadOne<int64_t>(text, [&bytes](int64_t units) {
      *bytes.target = units << bytes.shift;
    });
  }
  absl::Status operator()(const NumberSetter& set) const {
    return ReadOne<uint64_t>(text, set);
  }
  absl::Status operator()(const TimeOrSeconds& time) const {
    double seconds = 0;
    std::string with_unit(text);
    if (absl::SimpleAtod(text, &seconds)) {
      // Abseil takes a NaN for infinity.
      with_unit = std::isnan(seconds)
                      ? "nan"
                      : absl::FormatDuration(absl::Seconds(seconds));
    }
    return ReadOne<absl::Duration>(
        with_unit, [&time](absl::Duration value) { *time.target = value; });
  }
  template <typename T>
  absl::Status operator()(std::vector<T>* target) const {
    std::vector<T> values;
    if (!text.empty() || !range.is_any()) {
      for (const absl::string_view item : absl::StrSplit(text, ',')) {
        if (!ReadInRange(item, range, &values.emplace_back())) {
          return WantedInRange<T>(range, /*list=*/true);
        }
      }
    }
    *target = std::move(values);
    return absl::OkStatus();
  }
  absl::Status operator()(bool* target) const {
    return absl::SimpleAtob(text, target) ? absl::OkStatus()
                                          : Wanted("one of: true, false");
  }
  absl::Status operator()(std::string* target) const {
    if (static_cast<double>(text.size()) < range.low) {
      return absl::InvalidArgumentError("must not be empty");
    }
    *target = std::string(text);
    return absl::OkStatus();
  }
  absl::Status operator()(const Choice& choice) const {
    const auto word = std::find(choice.words.begin(), choice.words.end(), text);
    if (word == choice.words.end()) {
      return Wanted(
          absl::StrCat("one of: ", absl::StrJoin(choice.words, ", ")));
    }
    choice.set(static_cast<size_t>(word - choice.words.begin()));
    return absl::OkStatus();
  }
  absl::Status operator()(const TextReader& read) const { return read(text); }
};

struct Printer {
  template <typename T>
  std::string operator()(T* target) const {
    return Type<T>::Text(*target);
  }
  template <typename T>
  std::string operator()(std::vector<T>* target) const {
    return absl::StrJoin(*target, ",", [](std::string* out, const T& value) {
      absl::StrAppend(out, Type<T>::Text(value));
    });
  }
  std::string operator()(bool* target) const {
    return *target ? "true" : "false";
  }
  std::string operator()(const Bytes& bytes) const {
    return absl::StrCat(*bytes.target >> bytes.shift);
  }
  std::string operator()(std::string* target) const { return *target; }
  std::string operator()(const Choice& choice) const {
    return choice.text ? choice.text() : "";
  }
  std::string operator()(const TimeOrSeconds& time) const {
    return (*this)(time.target);
  }
  std::string operator()(const NumberSetter&) const { return ""; }
  std::string operator()(const TextReader&) const { return ""; }
};

struct Description {
  std::string placeholder;
  std::string range;
};

struct Describer {
  const OptionRange& range;

  template <typename T>
  Description operator()(T*) const {
    return {Type<T>::kKind.placeholder, RangeText<T>(range, false)};
  }
  template <typename T>
  Description operator()(std::vector<T>*) const {
    const auto [one, allowed] = (*this)(static_cast<T*>(nullptr));
    return {absl::StrCat(one, "[,", one, "...]"),
            allowed.empty() ? "" : absl::StrCat("each ", allowed)};
  }
  Description operator()(bool*) const { return {}; }
  Description operator()(std::string*) const { return {"TEXT", ""}; }
  Description operator()(const TextReader&) const { return {"TEXT", ""}; }
  Description operator()(const Bytes& bytes) const {
    return (*this)(bytes.target);
  }
  Description operator()(const NumberSetter&) const {
    return (*this)(static_cast<uint64_t*>(nullptr));
  }
  Description operator()(const Choice& choice) const {
    return {absl::StrJoin(choice.words, "|"), ""};
  }
  Description operator()(const TimeOrSeconds& time) const {
    return (*this)(time.target);
  }
};

Description Describe(const Option& option) {
  return std::visit(Describer{option.range}, option.target);
}

size_t EditDistance(absl::string_view a, absl::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

}  // namespace

Choice OneOf(std::string* target, const std::vector<const char*>& words) {
  Choice choice;
  choice.words.assign(words.begin(), words.end());
  choice.set = [target, words = choice.words](size_t i) { *target = words[i]; };
  choice.text = [target] { return *target; };
  return choice;
}

const Option* FindOption(absl::Span<const Option> table,
                         absl::string_view name) {
  for (const Option& option : table) {
    if (name == option.name) return &option;
  }
  return nullptr;
}

std::string NearMiss(absl::Span<const Option> table, absl::string_view name,
                     absl::string_view prefix) {
  constexpr size_t kMaxNameBytes = 40;
  absl::string_view nearest;
  size_t least = std::max<size_t>(name.size() / 3, 1) + 1;
  for (const Option& option : table) {
    if (name.size() > kMaxNameBytes) break;
    const size_t distance = EditDistance(name, option.name);
    if (distance < least) {
      least = distance;
      nearest = option.name;
    }
  }
  return nearest.empty()
             ? "; --help lists the flags"
             : absl::StrCat("; did you mean ", prefix, nearest, "?");
}

absl::Status SetOption(const Option& option, const std::string& text) {
  return std::visit(Setter{text, option.range}, option.target);
}

std::string OptionText(const Option& option) {
  return std::visit(Printer(), option.target);
}

std::string ShownText(const std::string& text) {
  constexpr size_t kMaxBytes = 80;
  const bool plain =
      !text.empty() && text.size() <= kMaxBytes &&
      std::all_of(text.begin(), text.end(), [](char c) {
        return absl::ascii_isgraph(static_cast<unsigned char>(c));
      });
  return plain ? text : Abbreviated(text);
}

std::string OptionPlaceholder(const Option& option) {
  return *option.unit != '\0' ? option.unit : Describe(option).placeholder;
}

std::string OptionLimits(const Option& option) {
  std::vector<std::string> parts;
  std::string range = Describe(option).range;
  if (!range.empty()) parts.push_back(std::move(range));
  std::string value =
      option.default_text.empty() ? OptionText(option) : option.default_text;
  // What a switch is unless it is given needs no words.
  if (value == "false" && std::holds_alternative<bool*>(option.target)) {
    value.clear();
  }
  if (value == kRequired) {
    parts.push_back(value);
  } else if (!value.empty()) {
    parts.push_back(absl::StrCat("default ", value));
  }
  return absl::StrJoin(parts, "; ");
}

}  // namespace ddgan
