#include "client/load_generator/arrival_schedule.h"

#include <cmath>
#include <cstdint>
#include <vector>

#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace ddgan {
namespace {

std::vector<absl::Duration> FirstArrivals(ArrivalSchedule schedule,
                                          size_t number) {
  std::vector<absl::Duration> arrivals;
  while (arrivals.size() < number) {
    arrivals.push_back(schedule.Next());
    schedule.Pop();
  }
  return arrivals;
}

TEST(ArrivalScheduleTest, OpenLoopHasExponentialGapsOfTheRatesMean) {
  constexpr size_t kNumber = 100'000;
  const std::vector<absl::Duration> arrivals =
      FirstArrivals(ArrivalSchedule::OpenLoop(50.0, 1), kNumber);
  double sum = 0.0;
  double sum_of_squares = 0.0;
  size_t longer_than_mean = 0;
  absl::Duration last;
  for (const absl::Duration arrival : arrivals) {
    const double gap = absl::ToDoubleSeconds(arrival - last);
    ASSERT_GE(gap, 0.0);
    sum += gap;
    sum_of_squares += gap * gap;
    if (gap > 0.02) ++longer_than_mean;
    last = arrival;
  }
  const double mean = sum / kNumber;
  // Within 4 standard errors; the standard deviation equals the mean.
  EXPECT_NEAR(mean, 0.02, 4 * 0.02 / std::sqrt(kNumber));
  EXPECT_NEAR(std::sqrt(sum_of_squares / kNumber - mean * mean), 0.02, 0.0004);
  EXPECT_NEAR(static_cast<double>(longer_than_mean) / kNumber, std::exp(-1.0),
              0.01);
}

TEST(ArrivalScheduleTest, OpenLoopDoesNotCareForReplies) {
  ArrivalSchedule schedule = ArrivalSchedule::OpenLoop(50.0, 1);
  for (const absl::Duration arrival :
       FirstArrivals(ArrivalSchedule::OpenLoop(50.0, 1), 100)) {
    EXPECT_EQ(schedule.Next(), arrival);
    schedule.Pop();
    schedule.OnCallEnded(arrival + absl::Hours(1));
  }
}

TEST(ArrivalScheduleTest, OpenLoopDependsOnItsSeed) {
  EXPECT_NE(ArrivalSchedule::OpenLoop(50.0, 1).Next(),
            ArrivalSchedule::OpenLoop(50.0, 2).Next());
}

TEST(ArrivalScheduleTest, ClosedLoopSendsACallersNextCallWhenItsLastHasEnded) {
  ArrivalSchedule schedule = ArrivalSchedule::ClosedLoop(2);
  for (int caller = 0; caller < 2; ++caller) {
    EXPECT_EQ(schedule.Next(), absl::ZeroDuration());
    schedule.Pop();
  }
  EXPECT_EQ(schedule.Next(), absl::InfiniteDuration());
  schedule.OnCallEnded(absl::Seconds(3));
  schedule.OnCallEnded(absl::Seconds(2));
  EXPECT_EQ(schedule.Next(), absl::Seconds(2));
  schedule.Pop();
  EXPECT_EQ(schedule.Next(), absl::Seconds(3));
  schedule.Pop();
  EXPECT_EQ(schedule.Next(), absl::InfiniteDuration());
}

}  // namespace
}  // namespace ddgan
