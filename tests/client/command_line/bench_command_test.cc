#include "client/command_line/bench_command.h"

#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace ddgan {
namespace {

TEST(FormatLoadProgressTest, ShowsTheShareOfTheTimeOrOfTheCalls) {
  LoadProgress progress;
  progress.calls.scheduled = 420;
  progress.calls.ok = 400;
  progress.calls.refused = 2;
  progress.calls.unsent = 1;
  progress.calls.failed = 3;
  progress.calls.unanswered = 4;
  progress.outstanding = 12;
  LoadOptions options;
  options.warmup = absl::Seconds(5);
  options.duration = absl::Seconds(35);
  EXPECT_EQ(FormatLoadProgress(options, progress, absl::Milliseconds(20'140)),
            "[==========>         ] 20.1 s, 400 ok, 3 refused, 7 failed, 12 "
            "outstanding");
  // Replies may come after the end of the load.
  EXPECT_EQ(FormatLoadProgress(options, progress, absl::Seconds(41)),
            "[====================] 41.0 s, 400 ok, 3 refused, 7 failed, 12 "
            "outstanding");
  options.calls = 1680;
  options.duration = absl::InfiniteDuration();
  EXPECT_EQ(FormatLoadProgress(options, progress, absl::Seconds(41)),
            "[=====>              ] 41.0 s, 400 ok, 3 refused, 7 failed, 12 "
            "outstanding");
}

}  // namespace
}  // namespace ddgan
