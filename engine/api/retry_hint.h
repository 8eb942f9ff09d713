// When a refused caller should come back, carried by the refusal itself.
#ifndef DDGAN_ENGINE_API_RETRY_HINT_H_
#define DDGAN_ENGINE_API_RETRY_HINT_H_

#include <optional>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace ddgan {

// `status`, which is not OK, with the hint; rounded up to milliseconds.
absl::Status WithRetryAfter(absl::Status status, absl::Duration retry_after);

// The hint of a status; nothing if it has none.
std::optional<absl::Duration> RetryAfter(const absl::Status& status);

}  // namespace ddgan

#endif  // DDGAN_ENGINE_API_RETRY_HINT_H_
