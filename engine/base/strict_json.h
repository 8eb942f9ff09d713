// JSON from a file that a stranger may have written: what a lenient parser
// lets pass (duplicate keys, deep nesting, endless lists) is refused, and no
// type is taken for another.
#ifndef DDGAN_ENGINE_BASE_STRICT_JSON_H_
#define DDGAN_ENGINE_BASE_STRICT_JSON_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"

namespace ddgan {

struct JsonLimits {
  int max_depth = 4;            // An object or array within another counts one.
  size_t max_values = 1 << 20;  // Of any kind, keys not counted.
};

// InvalidArgument that says where, in a short line of ASCII, for text that is
// not one JSON value, passes `limits`, or has an object with the same key
// twice. Throws nothing. Thread-safe.
absl::StatusOr<nlohmann::json> ParseStrictJson(std::string_view text,
                                               const JsonLimits& limits = {});

// For a message: a hostile value may be long, and of any bytes. At most 83 of
// them, ASCII.
std::string Abbreviated(const nlohmann::json& value);

// Each sets `out` and returns nothing, or returns what was wanted, as "a list"
// or "an integer of 32 bits", for a value of another type or out of the type's
// range. No conversion but of an integer to a double. Thread-safe.
std::optional<std::string> ReadJson(const nlohmann::json& value, bool* out);
std::optional<std::string> ReadJson(const nlohmann::json& value, int* out);
std::optional<std::string> ReadJson(const nlohmann::json& value, int64_t* out);
std::optional<std::string> ReadJson(const nlohmann::json& value, uint64_t* out);
std::optional<std::string> ReadJson(const nlohmann::json& value, double* out);
std::optional<std::string> ReadJson(const nlohmann::json& value,
                                    std::string* out);

template <typename T>
std::optional<std::string> ReadJson(const nlohmann::json& value,
                                    std::vector<T>* out) {
  if (!value.is_array()) return "a list";
  out->clear();
  for (const nlohmann::json& element : value) {
    T item{};
    if (auto wanted = ReadJson(element, &item); wanted.has_value())
      return absl::StrCat("a list, each element ", *wanted);
    out->push_back(std::move(item));
  }
  return std::nullopt;
}

}  // namespace ddgan

#endif  // DDGAN_ENGINE_BASE_STRICT_JSON_H_
