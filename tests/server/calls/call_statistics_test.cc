#include "server/calls/call_statistics.h"

#include "gtest/gtest.h"

namespace ddgan {
namespace {

const absl::Time kNow = absl::FromUnixMillis(1'700'000'000'250);

CallStatistics::Call Good(uint32_t images) {
  return {.ok = true,
          .images = images,
          .total = absl::Milliseconds(70),
          .timings = {.queue = absl::Milliseconds(3),
                      .steps = absl::Milliseconds(40)},
          .encode = absl::Milliseconds(5)};
}

TEST(CallStatisticsTest, AddsUpCallsThatSucceededAndThoseThatFailed) {
  CallStatistics statistics;
  statistics.Record({"digits", 3, ""}, Good(4), kNow);
  statistics.Record({"digits", 3, ""}, Good(1), kNow - absl::Seconds(1));
  CallStatistics::Call failed = Good(8);
  failed.ok = false;
  statistics.Record({"digits", 3, ""}, failed, kNow + absl::Seconds(1));
  statistics.Record({"digits", 4, ""}, Good(1), kNow);
  const CallStatistics::Tally tally = statistics.Of("digits", 3);
  EXPECT_EQ(tally.succeeded, 2);
  EXPECT_EQ(tally.failed, 1);
  EXPECT_EQ(tally.images, 5);
  EXPECT_EQ(tally.succeeded_time, absl::Milliseconds(140));
  EXPECT_EQ(tally.failed_time, absl::Milliseconds(70));
  EXPECT_EQ(tally.queue, absl::Milliseconds(6));
  EXPECT_EQ(tally.steps, absl::Milliseconds(80));
  EXPECT_EQ(tally.encode, absl::Milliseconds(10));
  EXPECT_EQ(tally.last, kNow);
  EXPECT_EQ(statistics.Of("digits", 5).succeeded, 0);
  EXPECT_EQ(statistics.Of("faces", 3).succeeded, 0);
}

TEST(CallStatisticsTest, KeepsTheVersionsThatWereUsedLast) {
  CallStatistics statistics;
  constexpr int64_t kKept = CallStatistics::kVersionsKept;
  for (int64_t version = 1; version <= kKept; ++version) {
    statistics.Record({"digits", version, ""}, Good(1), kNow);
  }
  statistics.Record({"digits", 1, ""}, Good(1), kNow);
  statistics.Record({"digits", kKept + 1, ""}, Good(1), kNow);
  EXPECT_EQ(statistics.Of("digits", 1).succeeded, 2);
  EXPECT_EQ(statistics.Of("digits", 2).succeeded, 0);
  EXPECT_EQ(statistics.Of("digits", 3).succeeded, 1);
  EXPECT_EQ(statistics.Of("digits", kKept + 1).succeeded, 1);
}

}  // namespace
}  // namespace ddgan
