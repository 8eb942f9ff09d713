#include "client/retry_policy.h"

#include <algorithm>
#include <cstdint>

#include "absl/strings/numbers.h"

namespace ddgan {
namespace {

absl::Duration Backoff(const RetryPolicy& policy, int attempt) {
  absl::Duration delay = policy.initial_backoff;
  // Stops at the cap, so a large attempt number costs nothing.
  for (int i = 1; i < attempt && delay < policy.max_backoff; ++i) delay *= 2;
  return std::min(delay, policy.max_backoff);
}

}  // namespace

RetryPushback ParseRetryPushback(absl::string_view trailer) {
  int64_t milliseconds = 0;
  if (!absl::SimpleAtoi(trailer, &milliseconds) || milliseconds < 0) return {};
  return {absl::Milliseconds(milliseconds)};
}

std::optional<absl::Duration> DelayBeforeRetry(const RetryPolicy& policy,
                                               const FailedAttempt& failed) {
  if (failed.attempt >= policy.max_attempts) return std::nullopt;
  const bool may_pass = failed.code == absl::StatusCode::kUnavailable ||
                        (failed.code == absl::StatusCode::kResourceExhausted &&
                         failed.pushback.has_value());
  if (!may_pass) return std::nullopt;

  absl::Duration delay;
  if (failed.pushback.has_value()) {
    if (!failed.pushback->delay.has_value() ||
        *failed.pushback->delay > policy.max_pushback) {
      return std::nullopt;
    }
    delay = *failed.pushback->delay * (1.0 + 0.2 * failed.jitter);
  } else {
    delay = Backoff(policy, failed.attempt) * (0.8 + 0.4 * failed.jitter);
  }
  if (delay >= failed.time_left) return std::nullopt;
  return delay;
}

}  // namespace ddgan
