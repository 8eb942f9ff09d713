#include "engine/scheduling/promised_deadlines.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <utility>
#include <vector>

#include "tests/fakes/scripted_version_source.h"

namespace ddgan {
namespace {

using ::testing::SizeIs;

constexpr absl::Duration kTick = absl::Milliseconds(10);
const absl::Time kNow = absl::FromUnixSeconds(1000);

class PromisedDeadlinesTest : public ::testing::Test {
 protected:
  static std::shared_ptr<const ServableVersion> Measured(absl::Duration tick) {
    auto version = SharedServableVersion("digits", 1, 4);
    for (int rows = 1; rows <= 8; rows *= 2) version->costs->Record(rows, tick);
    return version;
  }

  QueuedRequest& Add(uint32_t count, absl::Time deadline) {
    QueuedRequest request;
    request.version = version_;
    request.version_number = turns_.Enter(version_);
    request.first_step = 3;
    request.deadline = request.steps_deadline = deadline;
    GenerationRequest asked;
    asked.count = count;
    return queue_.Add(std::move(request), asked);
  }

  const std::vector<DeadlineWork>& Collect() {
    claims_.Collect(queue_, turns_, {.lanes = 1, .rows = 4});
    return claims_.work();
  }

  const std::shared_ptr<const ServableVersion> version_ = Measured(kTick);
  RequestQueue queue_;
  VersionTurns turns_;
  PromisedDeadlines claims_;
};

TEST_F(PromisedDeadlinesTest,
       ARequestNeedsItsWorkAndTheStepsOfItsLongestImage) {
  QueuedRequest& request = Add(2, kNow + absl::Seconds(1));
  ASSERT_THAT(Collect(), SizeIs(1));
  EXPECT_EQ(Collect()[0].deadline, kNow + absl::Seconds(1));
  // 8 steps, two at a time; 4 must follow one another.
  EXPECT_EQ(Collect()[0].work, 4 * kTick);
  EXPECT_EQ(Collect()[0].path, 4 * kTick);
  queue_.Start(request.trajectories[0], 0);
  queue_.Advance(request.trajectories[0]);
  EXPECT_EQ(Collect()[0].path, 4 * kTick);
  queue_.Retire(request.trajectories[1]);
  EXPECT_EQ(Collect()[0].path, 3 * kTick);
  EXPECT_EQ(Collect()[0].work, 3 * kTick);
}

TEST_F(PromisedDeadlinesTest, EarliestDeadlinesComeFirstAndPlacesCount) {
  Add(1, kNow + absl::Seconds(3));
  Add(1, absl::InfiniteFuture());
  Add(1, kNow + absl::Seconds(1)).cancelled = true;
  Add(1, kNow + absl::Seconds(1)).ended = true;
  const Claim held = {.version = version_,
                      .images = 2,
                      .first_step = 3,
                      .deadline = kNow + absl::Seconds(2),
                      .steps_deadline = kNow + absl::Seconds(2)};
  const Claim untimed = {.version = version_};
  queue_.Hold(&held);
  queue_.Hold(&untimed);
  ASSERT_THAT(Collect(), SizeIs(2));
  EXPECT_EQ(Collect()[0].deadline, kNow + absl::Seconds(2));
  EXPECT_EQ(Collect()[0].work, 2 * kTick);  // 8 steps, four at a time.
  EXPECT_EQ(Collect()[0].path, 4 * kTick);
  EXPECT_EQ(Collect()[1].deadline, kNow + absl::Seconds(3));
}

TEST_F(PromisedDeadlinesTest, TheTickUnderWayMayBeOfAnyVersionWithWork) {
  Add(1, kNow + absl::Seconds(3));
  turns_.Enter(Measured(5 * kTick));
  Collect();
  EXPECT_EQ(claims_.busy(), 5 * kTick);
}

TEST_F(PromisedDeadlinesTest, RequestsWhoseTimeIsRunningOutAreUrgent) {
  QueuedRequest& tight = Add(1, kNow + absl::Milliseconds(50));
  QueuedRequest& loose = Add(1, kNow + absl::Seconds(9));
  const Claim held = {.version = version_,
                      .first_step = 3,
                      .deadline = kNow + absl::Milliseconds(10),
                      .steps_deadline = kNow + absl::Milliseconds(10)};
  queue_.Hold(&held);  // Comes first, and is nobody who could be urgent.
  Collect();
  claims_.MarkUrgent(kNow);
  EXPECT_TRUE(tight.urgent);
  EXPECT_FALSE(loose.urgent);
  tight.steps_deadline += absl::Seconds(9);
  queue_.GiveBack(&held);
  Collect();
  claims_.MarkUrgent(kNow);
  EXPECT_FALSE(tight.urgent);
}

}  // namespace
}  // namespace ddgan
