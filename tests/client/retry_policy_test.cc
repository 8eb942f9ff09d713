#include "client/retry_policy.h"

#include <limits>
#include <optional>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace ddgan {
namespace {

FailedAttempt Unavailable(int attempt) {
  FailedAttempt failed;
  failed.attempt = attempt;
  failed.code = absl::StatusCode::kUnavailable;
  return failed;
}

FailedAttempt Overloaded(const char* trailer) {
  FailedAttempt failed;
  failed.code = absl::StatusCode::kResourceExhausted;
  failed.pushback = ParseRetryPushback(trailer);
  failed.jitter = 0.0;
  return failed;
}

TEST(RetryPolicyTest, WaitsTwiceAsLongEachTimeUpToTheCap) {
  RetryPolicy policy;
  policy.max_attempts = std::numeric_limits<int>::max();
  policy.initial_backoff = absl::Milliseconds(100);
  policy.max_backoff = absl::Milliseconds(300);
  EXPECT_EQ(DelayBeforeRetry(policy, Unavailable(1)), absl::Milliseconds(100));
  EXPECT_EQ(DelayBeforeRetry(policy, Unavailable(2)), absl::Milliseconds(200));
  EXPECT_EQ(DelayBeforeRetry(policy, Unavailable(3)), absl::Milliseconds(300));
  EXPECT_EQ(DelayBeforeRetry(policy, Unavailable(1'000'000'000)),
            absl::Milliseconds(300));
}

TEST(RetryPolicyTest, SpreadsTheWaitByJitter) {
  FailedAttempt failed = Unavailable(1);
  failed.jitter = 0.0;
  EXPECT_EQ(DelayBeforeRetry(RetryPolicy(), failed), absl::Milliseconds(160));
  failed.jitter = 0.75;
  EXPECT_EQ(DelayBeforeRetry(RetryPolicy(), failed), absl::Milliseconds(220));
}

TEST(RetryPolicyTest, GivesUpAfterTheLastAttempt) {
  RetryPolicy policy;
  policy.max_attempts = 3;
  EXPECT_NE(DelayBeforeRetry(policy, Unavailable(2)), std::nullopt);
  EXPECT_EQ(DelayBeforeRetry(policy, Unavailable(3)), std::nullopt);
}

TEST(RetryPolicyTest, GivesUpOnWhatWillNotPass) {
  for (const absl::StatusCode code :
       {absl::StatusCode::kCancelled, absl::StatusCode::kUnknown,
        absl::StatusCode::kInvalidArgument, absl::StatusCode::kNotFound,
        absl::StatusCode::kDeadlineExceeded, absl::StatusCode::kInternal,
        absl::StatusCode::kUnimplemented, absl::StatusCode::kDataLoss,
        absl::StatusCode::kResourceExhausted}) {
    FailedAttempt failed;
    failed.code = code;
    EXPECT_EQ(DelayBeforeRetry(RetryPolicy(), failed), std::nullopt)
        << absl::StatusCodeToString(code);
  }
}

TEST(RetryPolicyTest, FollowsTheServersHintAndNeverComesEarlier) {
  EXPECT_EQ(DelayBeforeRetry(RetryPolicy(), Overloaded("1500")),
            absl::Milliseconds(1500));
  FailedAttempt failed = Overloaded("1500");
  failed.jitter = 0.5;
  EXPECT_EQ(DelayBeforeRetry(RetryPolicy(), failed), absl::Milliseconds(1650));
  EXPECT_EQ(DelayBeforeRetry(RetryPolicy(), Overloaded("0")),
            absl::ZeroDuration());
}

TEST(RetryPolicyTest, GivesUpWhenTheServerForbidsARetry) {
  for (const char* trailer :
       {"-1", "", "soon", "1.5", "99999999999999999999"}) {
    EXPECT_EQ(DelayBeforeRetry(RetryPolicy(), Overloaded(trailer)),
              std::nullopt)
        << trailer;
    FailedAttempt failed = Unavailable(1);
    failed.pushback = ParseRetryPushback(trailer);
    EXPECT_EQ(DelayBeforeRetry(RetryPolicy(), failed), std::nullopt) << trailer;
  }
}

TEST(RetryPolicyTest, GivesUpWhenTheServerAsksForTooLong) {
  EXPECT_NE(DelayBeforeRetry(RetryPolicy(), Overloaded("60000")), std::nullopt);
  EXPECT_EQ(DelayBeforeRetry(RetryPolicy(), Overloaded("60001")), std::nullopt);
}

TEST(RetryPolicyTest, BeginsNoWaitThatTheDeadlineWouldCutShort) {
  FailedAttempt failed = Unavailable(1);
  failed.time_left = absl::Milliseconds(201);
  EXPECT_NE(DelayBeforeRetry(RetryPolicy(), failed), std::nullopt);
  failed.time_left = absl::Milliseconds(200);
  EXPECT_EQ(DelayBeforeRetry(RetryPolicy(), failed), std::nullopt);
}

}  // namespace
}  // namespace ddgan
