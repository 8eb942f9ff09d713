#include "engine/base/strict_json.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace ddgan {
namespace {

using nlohmann::json;

constexpr size_t kMaxWords = 120;  // Of the library's, in bytes.

// Builds the value from the parser's events, so that a limit stops the parser
// before it has built more, and every key is seen.
class StrictBuilder : public nlohmann::json_sax<json> {
 public:
  explicit StrictBuilder(const JsonLimits& limits) : limits_(limits) {}

  bool null() override { return Add(nullptr); }
  bool boolean(bool value) override { return Add(value); }
  bool number_integer(number_integer_t value) override { return Add(value); }
  bool number_unsigned(number_unsigned_t value) override { return Add(value); }
  bool number_float(number_float_t value, const string_t&) override {
    return Add(value);
  }
  bool string(string_t& value) override { return Add(std::move(value)); }
  bool binary(binary_t&) override { return Fail("binary value"); }

  bool start_object(size_t) override { return Open(json::object()); }
  bool end_object() override { return Close(); }
  bool start_array(size_t) override { return Open(json::array()); }
  bool end_array() override { return Close(); }

  bool key(string_t& key) override {
    if (open_.back()->contains(key))
      return Fail(absl::StrCat("key ", Abbreviated(key), " appears twice"));
    key_ = std::move(key);
    return true;
  }

  bool parse_error(size_t position, const std::string&,
                   const nlohmann::detail::exception& error) override {
    // The library's text begins with its own error code in brackets. It may go
    // on with what was read last, of any bytes and as long as the text.
    std::string what = error.what();
    if (const size_t end = what.find("] "); end != std::string::npos)
      what.erase(0, end + 2);
    what.erase(std::min({what.find("; last read: "), what.size(), kMaxWords}));
    return Fail(absl::StrCat("not valid JSON at byte ", position, ": ", what));
  }

  json TakeRoot() { return std::move(root_); }
  const std::string& error() const { return error_; }

 private:
  bool Fail(std::string error) {
    error_ = std::move(error);
    return false;
  }

  bool Add(json value) {
    json* added = nullptr;
    return AddAndGet(std::move(value), &added);
  }

  bool AddAndGet(json value, json** added) {
    if (++num_values_ > limits_.max_values)
      return Fail(absl::StrCat("more than ", limits_.max_values, " values"));
    if (open_.empty()) {
      root_ = std::move(value);
      *added = &root_;
    } else if (open_.back()->is_array()) {
      open_.back()->push_back(std::move(value));
      *added = &open_.back()->back();
    } else {
      *added = &((*open_.back())[key_] = std::move(value));
    }
    return true;
  }

  // A pointer to an open container stays valid: its parent takes no further
  // element until it is closed.
  bool Open(json container) {
    if (open_.size() >= static_cast<size_t>(limits_.max_depth))
      return Fail(absl::StrCat("nested deeper than ", limits_.max_depth));
    json* added = nullptr;
    if (!AddAndGet(std::move(container), &added)) return false;
    open_.push_back(added);
    return true;
  }

  bool Close() {
    open_.pop_back();
    return true;
  }

  const JsonLimits limits_;
  json root_;
  std::vector<json*> open_;
  std::string key_;
  size_t num_values_ = 0;
  std::string error_;
};

}  // namespace

absl::StatusOr<json> ParseStrictJson(std::string_view text,
                                     const JsonLimits& limits) {
  // The library takes a NUL for the end and ignores what follows.
  if (const size_t nul = text.find('\0'); nul != std::string_view::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat("not valid JSON at byte ", nul, ": a NUL byte"));
  }
  StrictBuilder builder(limits);
  if (!json::sax_parse(text.begin(), text.end(), &builder))
    return absl::InvalidArgumentError(builder.error());
  return builder.TakeRoot();
}

std::string Abbreviated(const json& value) {
  std::string text = value.dump(-1, ' ', /*ensure_ascii=*/true,
                                json::error_handler_t::replace);
  if (text.size() > 80) text.replace(80, std::string::npos, "...");
  return text;
}

std::optional<std::string> ReadJson(const json& value, bool* out) {
  if (!value.is_boolean()) return "true or false";
  *out = value.get<bool>();
  return std::nullopt;
}

std::optional<std::string> ReadJson(const json& value, int64_t* out) {
  constexpr char kWanted[] = "an integer of 64 bits";
  if (!value.is_number_integer()) return kWanted;
  if (value.is_number_unsigned() &&
      value.get<uint64_t>() >
          static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
    return kWanted;
  *out = value.get<int64_t>();
  return std::nullopt;
}

std::optional<std::string> ReadJson(const json& value, uint64_t* out) {
  if (!value.is_number_integer() ||
      (!value.is_number_unsigned() && value.get<int64_t>() < 0))
    return "an integer in [0, 2^64 - 1]";
  *out = value.get<uint64_t>();
  return std::nullopt;
}

std::optional<std::string> ReadJson(const json& value, int* out) {
  int64_t wide = 0;
  if (ReadJson(value, &wide).has_value() ||
      wide < std::numeric_limits<int>::min() ||
      wide > std::numeric_limits<int>::max())
    return "an integer of 32 bits";
  *out = static_cast<int>(wide);
  return std::nullopt;
}

std::optional<std::string> ReadJson(const json& value, double* out) {
  if (!value.is_number()) return "a number";
  *out = value.get<double>();
  return std::nullopt;
}

std::optional<std::string> ReadJson(const json& value, std::string* out) {
  if (!value.is_string()) return "a string";
  *out = value.get<std::string>();
  return std::nullopt;
}

}  // namespace ddgan
