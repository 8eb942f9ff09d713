#include "server/connections/calls_in_flight.h"

#include <optional>

#include "gtest/gtest.h"
#include "tests/fakes/manual_clock.h"

namespace ddgan {
namespace {

TEST(CallsInFlightTest, CountsCallsAndKnowsWhenTheLastEnded) {
  ManualClock clock;
  CallsInFlight calls(&clock);
  EXPECT_EQ(calls.Now().count, 0);
  EXPECT_EQ(calls.Now().last_ended, absl::InfinitePast());
  std::optional<CallsInFlight::Call> first(&calls);
  std::optional<CallsInFlight::Call> second(&calls);
  EXPECT_EQ(calls.Now().count, 2);
  EXPECT_EQ(calls.Now().last_ended, absl::InfinitePast());
  first.reset();
  const absl::Time first_ended = clock.Now();
  clock.Advance(absl::Seconds(3));
  EXPECT_EQ(calls.Now().count, 1);
  EXPECT_EQ(calls.Now().last_ended, first_ended);
  second.reset();
  EXPECT_EQ(calls.Now().count, 0);
  EXPECT_EQ(calls.Now().last_ended, first_ended + absl::Seconds(3));
}

}  // namespace
}  // namespace ddgan
