#include "trainer/distributed/c10d_errors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace ddgan {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(C10dErrorsTest, AClosedConnectionMeansThatAProcessIsGone) {
  const absl::Status status = CollectiveError(
      "[pair.cc:547] Connection closed by peer [127.0.0.1]:33147",
      absl::Seconds(30));
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(status.message(),
            "process group: a process is gone: [pair.cc:547] Connection closed "
            "by peer [127.0.0.1]:33147");
}

TEST(C10dErrorsTest, TimeoutsSayHowLong) {
  for (const char* message :
       {"[unbound_buffer.cc:81] Timed out waiting 2000ms for recv operation to "
        "complete",
        "[pair.cc:214] Application timeout caused pair closure",
        "Watchdog caught collective operation timeout: WorkNCCL(SeqNum=3)"}) {
    const absl::Status status = CollectiveError(message, absl::Seconds(2));
    EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded) << message;
    EXPECT_THAT(std::string(status.message()), HasSubstr("within 2s: "));
  }
}

TEST(C10dErrorsTest, LeavesStackTracesOut) {
  const absl::Status status = CollectiveError(
      "broken pipe\nException raised from recvBytes", absl::Seconds(2));
  EXPECT_THAT(std::string(status.message()), Not(HasSubstr("Exception")));
  EXPECT_LE(FirstLine(std::string(100000, 'x')).size(), 300u);
}

}  // namespace
}  // namespace ddgan
