#include "client/load_generator/load_tally.h"

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ddgan {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

LoadOptions TenSecondsAfterTwo() {
  LoadOptions options;
  options.rate = 1.0;
  options.warmup = absl::Seconds(2);
  options.duration = absl::Seconds(10);
  return options;
}

FinishedCall Call(absl::Duration due, absl::Duration ended,
                  CallFate fate = CallFate::kOk,
                  absl::StatusCode code = absl::StatusCode::kOk) {
  FinishedCall call;
  call.due = due;
  call.sent = due;
  call.ended = ended;
  call.fate = fate;
  call.code = code;
  call.version = 3;
  return call;
}

std::vector<std::string> Groups(const LoadReport& report) {
  std::vector<std::string> groups;
  for (const LatencyRow& row : report.latencies) groups.push_back(row.group);
  return groups;
}

TEST(FateOfTest, TellsRefusalsFromOtherErrors) {
  const auto fate = [](absl::StatusCode code, absl::Duration ended) {
    return FateOf(code, Abort::kNone, ended, absl::Seconds(2));
  };
  EXPECT_EQ(fate(absl::StatusCode::kOk, absl::Seconds(3)), CallFate::kOk);
  EXPECT_EQ(fate(absl::StatusCode::kResourceExhausted, absl::Seconds(3)),
            CallFate::kRefused);
  EXPECT_EQ(fate(absl::StatusCode::kDeadlineExceeded, absl::Seconds(1)),
            CallFate::kRefused);
  EXPECT_EQ(fate(absl::StatusCode::kDeadlineExceeded, absl::Seconds(2)),
            CallFate::kFailed);
  EXPECT_EQ(fate(absl::StatusCode::kDeadlineExceeded, absl::Milliseconds(1999)),
            CallFate::kFailed);
  EXPECT_EQ(fate(absl::StatusCode::kUnavailable, absl::Seconds(1)),
            CallFate::kFailed);
}

TEST(FateOfTest, SaysWhoCancelled) {
  const auto fate = [](absl::StatusCode code, Abort abort) {
    return FateOf(code, abort, absl::Seconds(1), absl::InfiniteDuration());
  };
  EXPECT_EQ(fate(absl::StatusCode::kCancelled, Abort::kCancelled),
            CallFate::kCancelled);
  EXPECT_EQ(fate(absl::StatusCode::kCancelled, Abort::kTimedOut),
            CallFate::kUnanswered);
  EXPECT_EQ(fate(absl::StatusCode::kCancelled, Abort::kNone),
            CallFate::kFailed);
  // The reply was faster.
  EXPECT_EQ(fate(absl::StatusCode::kOk, Abort::kCancelled), CallFate::kOk);
  EXPECT_EQ(fate(absl::StatusCode::kInternal, Abort::kTimedOut),
            CallFate::kFailed);
}

TEST(LoadTallyTest, CountsEveryCallOnceByItsFateAndCode) {
  LoadTally tally(TenSecondsAfterTwo(), {});
  const absl::Duration due = absl::Seconds(3);
  tally.Add(Call(due, due));
  tally.Add(
      Call(due, due, CallFate::kRefused, absl::StatusCode::kResourceExhausted));
  tally.Add(Call(due, due, CallFate::kFailed, absl::StatusCode::kUnavailable));
  tally.Add(Call(due, due, CallFate::kFailed, absl::StatusCode::kUnavailable));
  tally.Add(Call(due, due, CallFate::kCancelled, absl::StatusCode::kCancelled));
  tally.Add(
      Call(due, due, CallFate::kUnanswered, absl::StatusCode::kCancelled));
  tally.Add(Call(due, due, CallFate::kUnsent));
  const LoadReport report = tally.Report(absl::Seconds(12));
  EXPECT_EQ(report.calls.scheduled, 7u);
  EXPECT_EQ(report.calls.ok, 1u);
  EXPECT_EQ(report.calls.refused, 1u);
  EXPECT_EQ(report.calls.failed, 2u);
  EXPECT_EQ(report.calls.cancelled, 1u);
  EXPECT_EQ(report.calls.unanswered, 1u);
  EXPECT_EQ(report.calls.unsent, 1u);
  EXPECT_THAT(report.errors, ElementsAre(Pair("RESOURCE_EXHAUSTED", 1),
                                         Pair("UNAVAILABLE", 2)));
  EXPECT_THAT(report.versions, ElementsAre(Pair(3, 1)));
}

TEST(LoadTallyTest, LeavesTheWarmUpOutButForRepliesThatComeAfterIt) {
  LoadTally tally(TenSecondsAfterTwo(), {});
  tally.Add(Call(absl::Seconds(1), absl::Milliseconds(1500)));
  tally.Add(Call(absl::Seconds(1), absl::Seconds(4)));
  tally.Add(Call(absl::Seconds(2), absl::Milliseconds(2500)));
  tally.Add(Call(absl::Seconds(11), absl::Seconds(13)));
  const LoadReport report = tally.Report(absl::Seconds(13));
  EXPECT_EQ(report.calls.scheduled, 2u);
  EXPECT_EQ(report.latencies[0].calls, 2u);
  EXPECT_EQ(report.latencies[0].max, absl::Seconds(2));
  EXPECT_EQ(report.measured, absl::Seconds(10));
  EXPECT_EQ(report.drain, absl::Seconds(1));
  // Two replies came within the ten seconds.
  EXPECT_DOUBLE_EQ(report.calls_per_second, 0.2);
}

TEST(LoadTallyTest, MeasuresUntilTheLastReplyIfTheCallsBoundTheRun) {
  LoadOptions options = TenSecondsAfterTwo();
  options.calls = 2;
  options.duration = absl::InfiniteDuration();
  LoadTally tally(options, {});
  FinishedCall call = Call(absl::Seconds(2), absl::Seconds(3));
  call.plan.count = 16;
  tally.Add(call);
  tally.Add(Call(absl::Seconds(3), absl::Seconds(6)));
  const LoadReport report = tally.Report(absl::Seconds(6));
  EXPECT_EQ(report.measured, absl::Seconds(4));
  EXPECT_EQ(report.drain, absl::ZeroDuration());
  EXPECT_DOUBLE_EQ(report.calls_per_second, 0.5);
  EXPECT_DOUBLE_EQ(report.images_per_second, 17.0 / 4);
}

TEST(LoadTallyTest, TakesLatencyFromWhenTheCallWasDue) {
  LoadTally tally(TenSecondsAfterTwo(), {});
  FinishedCall call = Call(absl::Seconds(3), absl::Seconds(5));
  call.sent = absl::Milliseconds(4500);
  tally.Add(call);
  const LoadReport report = tally.Report(absl::Seconds(12));
  EXPECT_EQ(report.latencies[0].max, absl::Seconds(2));
  EXPECT_EQ(report.sent_late, 1u);
  EXPECT_EQ(report.max_send_delay, absl::Milliseconds(1500));
}

TEST(LoadTallyTest, ComparesWithTheStandAloneLatencyOfTheSameCount) {
  LoadTally tally(TenSecondsAfterTwo(),
                  {{1, absl::Milliseconds(10)}, {16, absl::Milliseconds(100)}});
  const auto add = [&](uint32_t count, absl::Duration latency, CallFate fate) {
    FinishedCall call =
        Call(absl::Seconds(3), absl::Seconds(3) + latency, fate);
    call.plan.count = count;
    tally.Add(call);
  };
  add(1, absl::Milliseconds(30), CallFate::kOk);
  add(1, absl::Milliseconds(31), CallFate::kOk);
  add(16, absl::Milliseconds(31), CallFate::kOk);
  add(16, absl::Milliseconds(1), CallFate::kRefused);
  add(16, absl::Milliseconds(1), CallFate::kCancelled);
  const LoadReport report = tally.Report(absl::Seconds(12));
  EXPECT_THAT(Groups(report),
              ElementsAre("all", "count 1", "count 16", "refused"));
  // Refused is late, cancelled is nothing.
  EXPECT_DOUBLE_EQ(report.latencies[0].within_3x.value(), 0.5);
  EXPECT_DOUBLE_EQ(report.latencies[1].within_3x.value(), 0.5);
  EXPECT_DOUBLE_EQ(report.latencies[2].within_3x.value(), 0.5);
  EXPECT_FALSE(report.latencies[3].within_3x.has_value());
  EXPECT_EQ(report.latencies[3].max, absl::Milliseconds(1));
}

TEST(LoadTallyTest, HasARowPerClassAndPerPowerOfTwoOfManyCounts) {
  LoadOptions options = TenSecondsAfterTwo();
  options.mix.counts = *ParseCounts("1-64");
  LoadTally tally(options, {});
  for (const uint32_t count : {1, 2, 3, 31, 64}) {
    FinishedCall call = Call(absl::Seconds(3), absl::Seconds(4));
    call.plan.count = count;
    if (count > 2) call.plan.request_class = v1::REQUEST_CLASS_BATCH;
    tally.Add(call);
  }
  const LoadReport report = tally.Report(absl::Seconds(12));
  EXPECT_THAT(Groups(report),
              ElementsAre("all", "interactive", "batch", "count 1", "count 2-3",
                          "count 16-31", "count 64"));
  EXPECT_EQ(report.latencies[2].calls, 3u);
  EXPECT_EQ(report.latencies[4].calls, 2u);
}

TEST(LoadTallyTest, HasAWindowForEverySecondAfterTheWarmUp) {
  LoadTally tally(TenSecondsAfterTwo(), {});
  FinishedCall call = Call(absl::Milliseconds(2100), absl::Milliseconds(4200));
  call.plan.count = 5;
  tally.Add(call);
  tally.Add(Call(absl::Milliseconds(2200), absl::Milliseconds(2300),
                 CallFate::kRefused, absl::StatusCode::kResourceExhausted));
  tally.Add(Call(absl::Milliseconds(3999), absl::Milliseconds(4000),
                 CallFate::kFailed, absl::StatusCode::kUnavailable));
  tally.Add(Call(absl::Milliseconds(4500), absl::Milliseconds(4500),
                 CallFate::kUnsent));
  const LoadReport report = tally.Report(absl::Seconds(12));
  ASSERT_EQ(report.windows.size(), 3u);
  EXPECT_EQ(report.windows[0].scheduled, 2u);
  EXPECT_EQ(report.windows[0].ok, 0u);
  EXPECT_EQ(report.windows[0].refused, 1u);
  EXPECT_EQ(report.windows[1].scheduled, 1u);
  EXPECT_EQ(report.windows[1].failed, 0u);
  EXPECT_EQ(report.windows[2].scheduled, 1u);
  EXPECT_EQ(report.windows[2].ok, 1u);
  EXPECT_EQ(report.windows[2].images, 5u);
  EXPECT_EQ(report.windows[2].failed, 1u);
  EXPECT_EQ(report.windows[2].unsent, 1u);
  EXPECT_EQ(report.windows[2].p50, absl::Milliseconds(2100));
}

TEST(LoadTallyTest, ReportsARunWithoutCalls) {
  const LoadReport report =
      LoadTally(TenSecondsAfterTwo(), {}).Report(absl::Seconds(12));
  EXPECT_THAT(Groups(report), ElementsAre("all"));
  EXPECT_EQ(report.latencies[0].calls, 0u);
  EXPECT_FALSE(report.latencies[0].within_3x.has_value());
  EXPECT_THAT(report.windows, IsEmpty());
  EXPECT_EQ(report.calls_per_second, 0.0);
}

}  // namespace
}  // namespace ddgan
