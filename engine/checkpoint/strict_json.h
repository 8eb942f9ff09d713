// JSON from a file that a stranger may have written: what a lenient parser
// lets pass (duplicate keys, deep nesting, endless lists) is refused.
#ifndef DDGAN_ENGINE_CHECKPOINT_STRICT_JSON_H_
#define DDGAN_ENGINE_CHECKPOINT_STRICT_JSON_H_

#include <cstddef>
#include <string_view>

#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"

namespace ddgan {

struct JsonLimits {
  int max_depth = 4;            // An object or array within another counts one.
  size_t max_values = 1 << 20;  // Of any kind, keys not counted.
};

// InvalidArgument that says where, for text that is not one JSON value, passes
// `limits`, or has an object with the same key twice. Throws nothing.
// Thread-safe.
absl::StatusOr<nlohmann::json> ParseStrictJson(std::string_view text,
                                               const JsonLimits& limits = {});

}  // namespace ddgan

#endif  // DDGAN_ENGINE_CHECKPOINT_STRICT_JSON_H_
