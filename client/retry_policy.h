// Whether a failed call is worth another attempt, and when. Pure.
#ifndef DDGAN_CLIENT_RETRY_POLICY_H_
#define DDGAN_CLIENT_RETRY_POLICY_H_

#include <optional>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace ddgan {

struct RetryPolicy {
  // Attempts of one call, the first included. 1 never retries.
  int max_attempts = 5;
  // Without a hint from the server, retry n waits initial_backoff * 2^(n-1), at
  // most max_backoff.
  absl::Duration initial_backoff = absl::Milliseconds(200);
  absl::Duration max_backoff = absl::Seconds(5);
  // Longest hint that is followed. A server that asks for more is as good as
  // down for this call.
  absl::Duration max_pushback = absl::Minutes(1);
};

// What the server said about retrying, in the trailer grpc-retry-pushback-ms.
struct RetryPushback {
  // Unset: do not retry.
  std::optional<absl::Duration> delay;
};

// Milliseconds in decimal. A negative number, or text that is no number, means
// "do not retry", as gRPC's retry design (A6) defines.
RetryPushback ParseRetryPushback(absl::string_view trailer);

struct FailedAttempt {
  int attempt = 1;  // 1 is the first.
  absl::StatusCode code = absl::StatusCode::kUnknown;
  std::optional<RetryPushback> pushback;  // Unset: no trailer came.
  // Until the call's deadline.
  absl::Duration time_left = absl::InfiniteDuration();
  // Uniform in [0, 1). Spreads callers that failed together: the wait is
  // between 0.8 and 1.2 times its nominal length, or between 1.0 and 1.2 times
  // the server's hint.
  double jitter = 0.5;
};

// How long to wait before the next attempt; unset: give up.
//
// Asking again is safe, since an image depends on its seed alone. It is of use
// after Unavailable, and after ResourceExhausted if the server sent a hint:
// without one the reason is a size limit, which stays. A wait that the
// deadline would cut short is not begun.
std::optional<absl::Duration> DelayBeforeRetry(const RetryPolicy& policy,
                                               const FailedAttempt& failed);

}  // namespace ddgan

#endif  // DDGAN_CLIENT_RETRY_POLICY_H_
