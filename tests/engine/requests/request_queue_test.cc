#include "engine/requests/request_queue.h"

#include <gtest/gtest.h>

#include <utility>

#include "tests/fakes/scripted_version_source.h"

namespace ddgan {
namespace {

class RequestQueueTest : public ::testing::Test {
 protected:
  QueuedRequest& Add(uint32_t count, absl::Time accepted_at = kStart,
                     RequestClass request_class = RequestClass::kInteractive) {
    QueuedRequest request;
    request.version = SharedServableVersion("digits", 1, 4);
    request.first_step = 3;
    request.bytes = 100;
    request.accepted_at = accepted_at;
    GenerationRequest asked;
    asked.count = count;
    asked.seed = 7;
    asked.first_index = 5;
    asked.request_class = request_class;
    return queue_.Add(std::move(request), asked);
  }

  static constexpr absl::Time kStart = absl::UnixEpoch();
  RequestQueue queue_;
};

TEST_F(RequestQueueTest, CountsFollowStates) {
  QueuedRequest& request = Add(2);
  EXPECT_EQ(request.trajectories[1].noise, (ImageNoise{7, 6}));
  EXPECT_EQ(request.trajectories[1].position(), 1u);
  EXPECT_EQ(request.trajectories[1].step, 3);
  EXPECT_EQ(request.steps_left, 8);
  EXPECT_EQ(queue_.queued_images(), 2);
  EXPECT_EQ(queue_.bytes(), 100);

  Trajectory& first = request.trajectories[0];
  queue_.Start(first, /*lane=*/1);
  EXPECT_EQ(queue_.queued_images(), 1);
  EXPECT_EQ(queue_.inflight_images(), 1);
  queue_.Advance(first);
  EXPECT_EQ(first.step, 2);
  EXPECT_EQ(first.lane, 1u);
  EXPECT_EQ(request.steps_left, 7);
  queue_.Retire(first);
  EXPECT_EQ(queue_.inflight_images(), 0);
  queue_.Retire(request.trajectories[1]);
  EXPECT_EQ(queue_.images(), 0);
  EXPECT_EQ(request.unfinished, 0u);
  EXPECT_EQ(request.steps_left, 0);
  queue_.Erase(queue_.requests().begin());
  EXPECT_EQ(queue_.bytes(), 0);
}

TEST_F(RequestQueueTest, WhatIsPutBackBeforeItsFirstStepBelongsToNoLane) {
  QueuedRequest& request = Add(1);
  Trajectory& row = request.trajectories[0];
  queue_.Start(row, 0);
  queue_.PutBack(row);
  EXPECT_EQ(row.state, Trajectory::State::kQueued);
  EXPECT_EQ(queue_.queued_images(), 1);
  queue_.Start(row, 1);
  queue_.Advance(row);
  queue_.Start(row, 1);
  queue_.PutBack(row);
  EXPECT_EQ(row.state, Trajectory::State::kReady);
  EXPECT_EQ(row.step, 2);
}

// Finish tags and deadlines are made of steps_left, so what a lost lane leaves
// is to run again there, too.
TEST_F(RequestQueueTest, WhatStartsAgainHasAllItsStepsLeft) {
  QueuedRequest& request = Add(2);
  for (Trajectory& row : request.trajectories) {
    queue_.Start(row, 0);
    queue_.Advance(row);
    queue_.Start(row, 0);
    queue_.Advance(row);
  }
  EXPECT_EQ(request.steps_left, 4);
  queue_.Restart(request.trajectories[0]);
  EXPECT_EQ(request.steps_left, 6);
  EXPECT_EQ(request.trajectories[0].step, 3);
  EXPECT_EQ(request.trajectories[0].state, Trajectory::State::kQueued);
  EXPECT_EQ(queue_.queued_images(), 1);
  EXPECT_EQ(queue_.inflight_images(), 1);
}

TEST_F(RequestQueueTest, RoomThatIsHeldCountsUntilItIsGivenBack) {
  Add(2);
  const Claim claim = {
      .version = SharedServableVersion("digits", 1), .images = 3, .bytes = 50};
  queue_.Hold(&claim);
  EXPECT_EQ(queue_.images(), 5);
  EXPECT_EQ(queue_.queued_images(), 2);
  EXPECT_EQ(queue_.bytes(), 150);
  queue_.GiveBack(&claim);
  EXPECT_EQ(queue_.images(), 2);
  EXPECT_EQ(queue_.bytes(), 100);
  EXPECT_TRUE(queue_.claims().empty());
}

TEST_F(RequestQueueTest, AnAccountHasItsShareUntilItsImagesAreMade) {
  GenerationRequest asked;
  asked.count = 2;
  asked.account = "a";
  QueuedRequest request;
  request.bytes = 100;
  QueuedRequest& added = queue_.Add(std::move(request), asked);
  Add(3);  // On nobody's account.
  const Claim claim = {.version = SharedServableVersion("digits", 1),
                       .account = "a",
                       .images = 3,
                       .bytes = 50};
  queue_.Hold(&claim);
  EXPECT_EQ(queue_.ShareOf("a").images, 5);
  EXPECT_EQ(queue_.ShareOf("a").bytes, 150);
  EXPECT_EQ(queue_.ShareOf("b").images, 0);
  EXPECT_EQ(queue_.ShareOf("").images, 0);
  queue_.GiveBack(&claim);
  for (Trajectory& row : added.trajectories) queue_.Retire(row);
  EXPECT_EQ(queue_.ShareOf("a").images, 0);
  EXPECT_EQ(queue_.ShareOf("a").bytes, 100);
  queue_.Erase(queue_.requests().find(added.id));
  EXPECT_EQ(queue_.ShareOf("a").bytes, 0);
}

TEST_F(RequestQueueTest, TheOldestQueuedImageOfEachClassTellsSinceWhen) {
  EXPECT_EQ(queue_.Oldest(), OldestQueued());
  const auto second = [](int i) { return kStart + absl::Seconds(i); };
  QueuedRequest& batch = Add(1, second(0), RequestClass::kBatch);
  QueuedRequest& first = Add(1, second(1));
  Add(1, second(2));
  Add(1, second(3), RequestClass::kBatch);
  EXPECT_EQ(queue_.Oldest(), (OldestQueued{second(1), second(0)}));
  queue_.Start(first.trajectories[0], 0);
  EXPECT_EQ(queue_.Oldest(), (OldestQueued{second(2), second(0)}));
  queue_.Start(batch.trajectories[0], 0);
  EXPECT_EQ(queue_.Oldest(), (OldestQueued{second(2), second(3)}));
}

}  // namespace
}  // namespace ddgan
