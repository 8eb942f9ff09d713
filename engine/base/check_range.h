// Options that are out of range, in one wording.
#ifndef DDGAN_ENGINE_BASE_CHECK_RANGE_H_
#define DDGAN_ENGINE_BASE_CHECK_RANGE_H_

#include <type_traits>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace ddgan {

// InvalidArgument "<name> is <value>, must be in [<low>, <high>]" unless
// `value`, a number, is in [low, high]; NaN never is.
template <typename T>
absl::Status CheckRange(absl::string_view name, T value,
                        std::type_identity_t<T> low,
                        std::type_identity_t<T> high) {
  if (value >= low && value <= high) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      name, " is ", value, ", must be in [", low, ", ", high, "]"));
}

}  // namespace ddgan

#endif  // DDGAN_ENGINE_BASE_CHECK_RANGE_H_
