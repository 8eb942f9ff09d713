#include "engine/checkpoint/strict_json.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace ddgan {
namespace {

using nlohmann::json;

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
      return Fail(absl::StrCat("key \"", key, "\" appears twice"));
    key_ = std::move(key);
    return true;
  }

  bool parse_error(size_t position, const std::string&,
                   const nlohmann::detail::exception& error) override {
    // The library's text begins with its own error code in brackets.
    std::string what = error.what();
    if (const size_t end = what.find("] "); end != std::string::npos)
      what.erase(0, end + 2);
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

}  // namespace ddgan
