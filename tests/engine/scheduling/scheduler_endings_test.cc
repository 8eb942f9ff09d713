// How requests end before their last image.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <thread>

#include "absl/synchronization/notification.h"
#include "tests/engine/scheduling/batch_scheduler_fixture.h"

namespace ddgan {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

TEST_F(BatchSchedulerTest, ACancelledRequestThatWaitsLeavesAtTheNextTick) {
  Scheduler(/*max_batch_size=*/1);
  Submit(1);
  EXPECT_THAT(Tick(), ElementsAre(3));
  const auto waiting = Submit(4);
  scheduler_->Cancel(last_id_);
  EXPECT_FALSE(waiting->finished());
  Tick();
  EXPECT_EQ(waiting->status().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(observer_.events().queue_state.queued_images, 0);
  EXPECT_THAT(observer_.events().wasted_steps, IsEmpty());
}

TEST_F(BatchSchedulerTest,
       ACancelledRequestInFlightIsForgottenAndItsStepsWaste) {
  Scheduler();
  const auto cancelled = Submit(2);
  const RequestId id = last_id_;
  const auto other = Submit(1);
  const LaneBatch first = Next();
  Succeed(first);
  Tick();
  scheduler_->Cancel(id);
  const LaneBatch batch = Next();
  EXPECT_THAT(batch.forget,
              UnorderedElementsAre(first.rows[0].id, first.rows[1].id));
  EXPECT_THAT(Steps(batch), ElementsAre(1));
  EXPECT_EQ(cancelled->status().code(), absl::StatusCode::kCancelled);
  EXPECT_THAT(observer_.events().wasted_steps,
              ElementsAre(Pair(WasteReason::kCancelled, 4)));
  Succeed(batch);
  Tick();
  EXPECT_EQ(other->status(), absl::OkStatus());
}

TEST_F(BatchSchedulerTest, ARequestCancelledDuringItsStepLeavesAfterIt) {
  Scheduler();
  const auto sink = Submit(1);
  const LaneBatch batch = Next();
  scheduler_->Cancel(last_id_);
  Succeed(batch);
  EXPECT_FALSE(sink->finished());
  const LaneBatch next = Next();
  EXPECT_THAT(next.rows, IsEmpty());
  EXPECT_THAT(next.forget, ElementsAre(batch.rows[0].id));
  EXPECT_EQ(sink->status().code(), absl::StatusCode::kCancelled);
  EXPECT_THAT(observer_.events().wasted_steps,
              ElementsAre(Pair(WasteReason::kCancelled, 1)));
}

TEST_F(BatchSchedulerTest, CancellingWhatHasFinishedHasNoEffect) {
  Scheduler();
  const auto sink = Submit(1);
  for (int step = 0; step < 4; ++step) Tick();
  scheduler_->Cancel(last_id_);
  scheduler_->Cancel(12345);
  Tick();
  EXPECT_EQ(sink->status(), absl::OkStatus());
}

TEST_F(BatchSchedulerTest, AnExpiredRequestLeavesAtTheNextTick) {
  Scheduler();
  const auto sink = Submit(2, clock_.Now() + absl::Seconds(1));
  Tick();
  clock_.Advance(absl::Seconds(1));
  const LaneBatch batch = Next();
  EXPECT_THAT(batch.rows, IsEmpty());
  EXPECT_THAT(batch.forget, SizeIs(2));
  EXPECT_EQ(sink->status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(observer_.events().wasted_steps,
              ElementsAre(Pair(WasteReason::kDeadline, 2)));
}

TEST_F(BatchSchedulerTest, AnIdleLaneWakesForADeadlineAndForACancellation) {
  // Images are held back for a fuller batch, so nothing runs.
  Scheduler(8, 64, /*num_lanes=*/1, /*max_wait=*/absl::Seconds(1));
  std::thread lane([this] {
    LaneBatch batch;
    while (scheduler_->NextBatch(0, &batch)) {
      EXPECT_THAT(batch.rows, IsEmpty());
    }
  });
  const auto expiring = Submit(1, clock_.Now() + absl::Milliseconds(1));
  clock_.Advance(absl::Milliseconds(1));
  EXPECT_EQ(expiring->Await().code(), absl::StatusCode::kDeadlineExceeded);
  const auto cancelled = Submit(1);
  scheduler_->Cancel(last_id_);
  EXPECT_EQ(cancelled->Await().code(), absl::StatusCode::kCancelled);
  scheduler_->Stop();
  lane.join();
}

TEST_F(BatchSchedulerTest, AnIdleLaneEndsARequestWhoseRowsRunOnAnother) {
  Scheduler(/*max_batch_size=*/1, 64, /*num_lanes=*/2);
  const auto sink = Submit(2);
  const LaneBatch on_lane_0 = Next(0);
  const LaneBatch on_lane_1 = Next(1);
  Succeed(on_lane_1, 1);
  scheduler_->Cancel(last_id_);
  EXPECT_THAT(Next(1).forget, ElementsAre(on_lane_1.rows[0].id));
  EXPECT_EQ(sink->status().code(), absl::StatusCode::kCancelled);
  // The row that was running keeps its place until its step is over.
  EXPECT_EQ(observer_.events().queue_state.inflight_images, 1);
  Succeed(on_lane_0, 0);
  EXPECT_THAT(Next(0).forget, ElementsAre(on_lane_0.rows[0].id));
  EXPECT_EQ(observer_.events().queue_state.inflight_images, 0);
  EXPECT_THAT(observer_.events().wasted_steps,
              ElementsAre(Pair(WasteReason::kCancelled, 2)));
}

TEST_F(BatchSchedulerTest, DrainFinishesWhatWasAcceptedAndRefusesTheRest) {
  Scheduler();
  const auto sink = Submit(1);
  std::thread lane([this] {
    LaneBatch batch;
    while (scheduler_->NextBatch(0, &batch)) Succeed(batch);
  });
  scheduler_->Drain(absl::InfiniteFuture());
  EXPECT_EQ(sink->status(), absl::OkStatus());
  EXPECT_EQ(TrySubmit(1, version_).status().code(),
            absl::StatusCode::kUnavailable);
  EXPECT_THAT(observer_.events().refused,
              ElementsAre(RefusalReason::kDraining));
  scheduler_->Stop();
  lane.join();
}

TEST_F(BatchSchedulerTest, DrainEndsWhatIsLeftAtItsDeadline) {
  Scheduler(/*max_batch_size=*/1);
  const auto running = Submit(1);
  const auto waiting = Submit(1);
  const LaneBatch batch = Next();  // A step that does not come back.
  std::thread drain(
      [this] { scheduler_->Drain(clock_.Now() + absl::Seconds(5)); });
  // Before the drain has begun this moves its deadline, so go on until it ends.
  while (!waiting->finished()) clock_.Advance(absl::Seconds(5));
  drain.join();
  EXPECT_EQ(running->status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(waiting->status().code(), absl::StatusCode::kUnavailable);
  Succeed(batch);
  EXPECT_THAT(Next().forget, ElementsAre(batch.rows[0].id));
  EXPECT_THAT(observer_.events().wasted_steps,
              ElementsAre(Pair(WasteReason::kShutdown, 1)));
  EXPECT_EQ(observer_.events().queue_state, RecordingObserver::QueueState{});
}

// Whoever drains destroys what sinks refer to.
TEST_F(BatchSchedulerTest, DrainWaitsForAResultThatIsBeingDelivered) {
  struct SlowSink : RecordingSink {
    void OnFinished(const absl::Status& status,
                    const GenerationTimings& timings) override {
      begun.Notify();
      go_on.WaitForNotification();
      RecordingSink::OnFinished(status, timings);
    }
    absl::Notification begun;
    absl::Notification go_on;
  };
  Scheduler();
  const auto sink = std::make_shared<SlowSink>();
  GenerationRequest request;
  ASSERT_TRUE(SubmitAtOnce(*scheduler_, version_, request, sink).ok());
  std::thread lane([this] {
    for (int step = 0; step < 4; ++step) Tick();
  });
  sink->begun.WaitForNotification();
  absl::Notification drained;
  std::thread drain([&] {
    scheduler_->Drain(absl::InfinitePast());
    drained.Notify();
  });
  EXPECT_FALSE(drained.WaitForNotificationWithTimeout(absl::Milliseconds(100)));
  sink->go_on.Notify();
  drain.join();
  lane.join();
  EXPECT_EQ(sink->status(), absl::OkStatus());
}

TEST_F(BatchSchedulerTest, StopSendsLanesHome) {
  Scheduler();
  const auto sink = Submit(1);
  scheduler_->Stop();
  EXPECT_EQ(sink->status().code(), absl::StatusCode::kUnavailable);
  LaneBatch batch;
  EXPECT_FALSE(scheduler_->NextBatch(0, &batch));
}

// The supervisor's part: the only lane hangs in a step.
TEST_F(BatchSchedulerTest, ASweepEndsWhatIsCancelledOrLateWithoutAnyLane) {
  Scheduler(/*max_batch_size=*/1, /*max_queued_images=*/3);
  const auto running = Submit(1);
  const RequestId running_id = last_id_;
  const LaneBatch hangs = Next();
  const auto expiring = Submit(1, clock_.Now() + absl::Milliseconds(5));
  const auto cancelled = Submit(1);
  EXPECT_EQ(scheduler_->Sweep(), clock_.Now() + absl::Milliseconds(5));
  scheduler_->Cancel(last_id_);
  scheduler_->Cancel(running_id);
  scheduler_->Sweep();
  EXPECT_EQ(cancelled->status().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(running->status().code(), absl::StatusCode::kCancelled);
  EXPECT_FALSE(expiring->finished());
  clock_.Advance(absl::Milliseconds(5));
  EXPECT_EQ(scheduler_->Sweep(), absl::InfiniteFuture());
  EXPECT_EQ(expiring->status().code(), absl::StatusCode::kDeadlineExceeded);
  // All places but that of the row that is still running.
  Submit(2);
  Succeed(hangs);
}

TEST_F(BatchSchedulerTest, TheSupervisorWakesForWhatIsNew) {
  Scheduler(/*max_batch_size=*/1, 64, /*num_lanes=*/2);
  EXPECT_EQ(scheduler_->Sweep(), absl::InfiniteFuture());
  const absl::Time soon = clock_.Now() + absl::Seconds(1);
  // Nothing new: it waits until the time that it says.
  Submit(1);
  std::thread waits([&] {
    EXPECT_TRUE(scheduler_->AwaitSweep(soon));
    EXPECT_EQ(clock_.Now(), soon);
  });
  clock_.AwaitWaiter();
  clock_.Advance(absl::Seconds(1));
  waits.join();

  // From here on it would wait for ever if it missed the news.
  const auto wakes = [&] {
    EXPECT_TRUE(scheduler_->AwaitSweep(absl::InfiniteFuture()));
    return scheduler_->Sweep();
  };
  scheduler_->Cancel(last_id_);
  EXPECT_EQ(wakes(), absl::InfiniteFuture());
  const absl::Time deadline = clock_.Now() + absl::Seconds(9);
  Submit(1, deadline);
  EXPECT_EQ(wakes(), deadline);
  Submit(1, deadline - absl::Seconds(1));
  EXPECT_EQ(wakes(), deadline - absl::Seconds(1));
  for (size_t lane : {0, 1}) {
    ASSERT_THAT(Next(lane).rows, SizeIs(1));
    scheduler_->FinishBatch(lane, absl::InternalError("lost"));
    wakes();
  }
  scheduler_->ReturnLane(0);
  wakes();
  scheduler_->AbandonLane(0);
  wakes();
  std::thread stopped(
      [&] { EXPECT_FALSE(scheduler_->AwaitSweep(absl::InfiniteFuture())); });
  scheduler_->Stop();
  stopped.join();
}

// Within the moment, on the clock that stands still.
TEST_F(BatchSchedulerTest, ASupervisorsLoopEndsRequestsAtTheirMoment) {
  Scheduler(/*max_batch_size=*/1);
  Submit(1);
  const LaneBatch hangs = Next();
  std::thread supervisor([this] {
    while (scheduler_->AwaitSweep(scheduler_->Sweep())) {
    }
  });
  const auto expiring = Submit(1, clock_.Now() + absl::Milliseconds(10));
  const auto cancelled = Submit(1);
  scheduler_->Cancel(last_id_);
  EXPECT_EQ(cancelled->Await().code(), absl::StatusCode::kCancelled);
  EXPECT_FALSE(expiring->finished());
  clock_.Advance(absl::Milliseconds(10));
  EXPECT_EQ(expiring->Await().code(), absl::StatusCode::kDeadlineExceeded);
  scheduler_->Stop();
  supervisor.join();
}

}  // namespace
}  // namespace ddgan
