#include "engine/api/retry_hint.h"

#include <gtest/gtest.h>

namespace ddgan {
namespace {

TEST(RetryHintTest, TravelsWithTheStatusInWholeMilliseconds) {
  const absl::Status status = WithRetryAfter(
      absl::ResourceExhaustedError("full"), absl::Microseconds(1500));
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(status.message(), "full");
  EXPECT_EQ(RetryAfter(status), absl::Milliseconds(2));
}

TEST(RetryHintTest, AStatusWithoutOneHasNone) {
  EXPECT_FALSE(RetryAfter(absl::ResourceExhaustedError("full")).has_value());
  EXPECT_FALSE(RetryAfter(absl::OkStatus()).has_value());
}

}  // namespace
}  // namespace ddgan
