// Lanes that fail, hang, or give what is not finite.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <thread>

#include "absl/synchronization/notification.h"
#include "tests/engine/scheduling/batch_scheduler_fixture.h"

namespace ddgan {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;

TEST_F(BatchSchedulerTest, WhatALostLaneHeldStartsAgainOnAnother) {
  Scheduler(/*max_batch_size=*/2, 64, /*num_lanes=*/2);
  const auto sink = Submit(2);
  Tick(0);
  Tick(0);
  const LaneBatch lost = Next(0);
  EXPECT_EQ(scheduler_->FinishBatch(0, absl::InternalError("device lost")),
            LaneHealth::Action::kTakeOut);
  EXPECT_FALSE(sink->finished());
  EXPECT_TRUE(scheduler_->AnyLaneUp());
  EXPECT_THAT(observer_.events().wasted_steps,
              ElementsAre(Pair(WasteReason::kReplayed, 4)));
  EXPECT_EQ(observer_.events().queue_state.queued_images, 2);
  // The step that failed runs row by row, lest one row spoils it for all.
  EXPECT_THAT(Tick(1), ElementsAre(3, 3));
  EXPECT_THAT(Tick(1), ElementsAre(2, 2));
  EXPECT_THAT(Tick(1), ElementsAre(1));
  EXPECT_THAT(Tick(1), ElementsAre(0));
  EXPECT_THAT(Tick(1), ElementsAre(1));
  EXPECT_THAT(Tick(1), ElementsAre(0));
  EXPECT_EQ(sink->status(), absl::OkStatus());
  EXPECT_THAT(sink->images(), SizeIs(2));
}

TEST_F(BatchSchedulerTest, ALaneComesBackAfterItsBackoffWithAnEmptyHand) {
  Scheduler(/*max_batch_size=*/2);
  const auto sink = Submit(1);
  Next();
  EXPECT_EQ(scheduler_->FinishBatch(0, absl::InternalError("lost")),
            LaneHealth::Action::kTakeOut);
  EXPECT_FALSE(scheduler_->AnyLaneUp());
  std::thread lane([this] {
    EXPECT_TRUE(scheduler_->AwaitRetry(0));
    scheduler_->LaneCreationFailed(0);
    EXPECT_TRUE(scheduler_->AwaitRetry(0));
    scheduler_->ReturnLane(0);
  });
  clock_.AwaitWaiter();
  clock_.Advance(LaneHealth::kFirstBackoff);
  clock_.AwaitWaiter();
  EXPECT_FALSE(scheduler_->AnyLaneUp());
  clock_.Advance(2 * LaneHealth::kFirstBackoff);
  lane.join();
  EXPECT_TRUE(scheduler_->AnyLaneUp());
  const LaneBatch batch = Next();
  EXPECT_THAT(batch.forget, IsEmpty());
  EXPECT_THAT(Steps(batch), ElementsAre(3));
  Succeed(batch);
  for (int step = 2; step >= 0; --step) Tick();
  EXPECT_EQ(sink->status(), absl::OkStatus());
}

TEST_F(BatchSchedulerTest, WhatLostTwoBatchesRunsByItselfUntilAThirdEndsIt) {
  static_assert(BatchScheduler::kMaxAttempts == 3);
  Scheduler();
  const auto sink = Submit(2);
  const auto lose = [&] {
    EXPECT_EQ(scheduler_->FinishBatch(0, absl::InternalError("device lost")),
              LaneHealth::Action::kTakeOut);
    scheduler_->ReturnLane(0);
  };
  EXPECT_THAT(Tick(), ElementsAre(3, 3));
  EXPECT_THAT(Next().rows, SizeIs(2));
  lose();
  EXPECT_THAT(Next().rows, SizeIs(2));
  lose();
  EXPECT_THAT(Tick(), ElementsAre(3));
  EXPECT_THAT(Next().rows, SizeIs(1));
  EXPECT_FALSE(sink->finished());
  lose();
  EXPECT_EQ(sink->status().code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(sink->status().message()), HasSubstr("device lost"));
  // The step before the first loss, twice, and the one before the third.
  EXPECT_THAT(observer_.events().wasted_steps,
              ElementsAre(Pair(WasteReason::kReplayed, 3)));
}

TEST_F(BatchSchedulerTest, ARowThatFailsAgainAndAgainEndsItsRequestAndNoOther) {
  Scheduler();
  const auto poisoned = Submit(2);
  const auto spared = Submit(1);
  uint64_t bad = 0;
  int outages = 0;
  for (int tick = 0; tick < 60 && !(poisoned->finished() && spared->finished());
       ++tick) {
    const LaneBatch batch = Next();
    if (batch.rows.empty()) break;
    if (bad == 0) bad = batch.rows[0].id;
    bool hit = false;
    for (const StepRow& row : batch.rows) hit |= row.id == bad;
    if (!hit) {
      Succeed(batch);
      continue;
    }
    ++outages;
    EXPECT_EQ(scheduler_->FinishBatch(0, absl::InternalError("NaN in row 1")),
              LaneHealth::Action::kTakeOut);
    scheduler_->ReturnLane(0);
  }
  EXPECT_EQ(outages, BatchScheduler::kMaxAttempts);
  EXPECT_EQ(poisoned->status().code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(poisoned->status().message()),
              HasSubstr("NaN in row 1"));
  EXPECT_EQ(spared->status(), absl::OkStatus());
  EXPECT_EQ(observer_.events().queue_state, RecordingObserver::QueueState{});
}

TEST_F(BatchSchedulerTest, OutOfMemoryHalvesTheBatchAndLosesNothing) {
  Scheduler(/*max_batch_size=*/8);
  const auto sink = Submit(8);
  EXPECT_THAT(Next().rows, SizeIs(8));
  EXPECT_EQ(scheduler_->FinishBatch(0, absl::ResourceExhaustedError("full")),
            LaneHealth::Action::kRetrySmaller);
  EXPECT_EQ(scheduler_->max_batch_size(0), 4);
  EXPECT_EQ(observer_.events().queue_state.queued_images, 8);
  for (int tick = 0; tick < 8; ++tick) EXPECT_THAT(Tick(), SizeIs(4));
  EXPECT_EQ(sink->status(), absl::OkStatus());
  EXPECT_THAT(observer_.events().wasted_steps, IsEmpty());
}

TEST_F(BatchSchedulerTest, ARowThatAloneIsTooLargeIsResourceExhausted) {
  Scheduler(/*max_batch_size=*/1);
  const auto sink = Submit(1);
  for (int attempt = 0; attempt < BatchScheduler::kMaxAttempts; ++attempt) {
    ASSERT_THAT(Next().rows, SizeIs(1));
    scheduler_->FinishBatch(0, absl::ResourceExhaustedError("out of memory"));
    scheduler_->ReturnLane(0);
  }
  EXPECT_EQ(sink->status().code(), absl::StatusCode::kResourceExhausted);
}

TEST_F(BatchSchedulerTest, ARunnerThatLosesAnImageFailsTheStep) {
  Scheduler();
  const auto sink = Submit(2, SharedServableVersion("digits", 4, 1));
  Next();
  StepOutcome outcome;
  outcome.finished.push_back({1, {}});
  EXPECT_EQ(scheduler_->FinishBatch(0, &outcome), LaneHealth::Action::kTakeOut);
  scheduler_->ReturnLane(0);
  Tick();
  Tick();
  EXPECT_EQ(sink->status(), absl::OkStatus());
}

TEST_F(BatchSchedulerTest, AfterALongOutageOfAllLanesCallersAreToldSo) {
  Scheduler(/*max_batch_size=*/8);
  const auto sink = Submit(1);
  Next();
  scheduler_->FinishBatch(0, absl::InternalError("lost"));
  // A short outage only queues.
  const auto second = Submit(1);
  std::thread lane([this] {
    while (scheduler_->AwaitRetry(0)) scheduler_->LaneCreationFailed(0);
  });
  while (!sink->finished()) {
    clock_.AwaitWaiter();
    clock_.Advance(absl::Seconds(1));
  }
  EXPECT_EQ(sink->status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(second->Await().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(TrySubmit(1, version_).status().code(),
            absl::StatusCode::kUnavailable);
  EXPECT_THAT(observer_.events().refused,
              ElementsAre(RefusalReason::kNoDevice));
  scheduler_->Stop();
  lane.join();
}

// The clock stands still, so nothing but the failure itself wakes the lane.
TEST_F(BatchSchedulerTest, AnIdleLaneWakesForWhatAFailedBatchLeaves) {
  for (const absl::Status& failure :
       {absl::InternalError("device lost"),
        absl::ResourceExhaustedError("out of memory")}) {
    SCOPED_TRACE(failure);
    Scheduler(/*max_batch_size=*/2, 64, /*num_lanes=*/2);
    Submit(2);
    ASSERT_THAT(Next(0).rows, SizeIs(2));
    absl::Notification found;
    std::thread idle_lane([&] {
      LaneBatch batch;
      while (scheduler_->NextBatch(1, &batch)) {
        if (!found.HasBeenNotified()) found.Notify();
        Succeed(batch, 1);
      }
    });
    while (!scheduler_->idle(1)) std::this_thread::yield();
    scheduler_->FinishBatch(0, failure);
    EXPECT_TRUE(found.WaitForNotificationWithTimeout(absl::Seconds(10)));
    scheduler_->Stop();
    idle_lane.join();
  }
}

TEST_F(BatchSchedulerTest, WhatAnAbandonedLaneHeldStartsAgainElsewhereAtOnce) {
  Scheduler(/*max_batch_size=*/2, 64, /*num_lanes=*/2);
  const auto sink = Submit(3);
  Tick(0);
  const LaneBatch hangs = Next(0);
  ASSERT_THAT(Steps(hangs), ElementsAre(2, 2));
  scheduler_->AbandonLane(0);
  EXPECT_TRUE(scheduler_->AnyLaneUp());
  EXPECT_EQ(observer_.events().queue_state.queued_images, 3);
  for (int tick = 0; tick < 12 && !sink->finished(); ++tick) Tick(1);
  ASSERT_EQ(sink->status(), absl::OkStatus());
  ASSERT_THAT(sink->images(), SizeIs(3));
  for (const RecordingSink::Delivered& image : sink->images()) {
    EXPECT_EQ(image.pixels, ScriptedPixels(7, image.index));
  }
  EXPECT_THAT(observer_.events().wasted_steps,
              ElementsAre(Pair(WasteReason::kReplayed, 2)));
  // The thread comes back at last, with results that nobody waits for.
  StepOutcome outcome;
  EXPECT_EQ(scheduler_->FinishBatch(0, &outcome), LaneHealth::Action::kTakeOut);
  EXPECT_THAT(observer_.events().wasted_steps,
              ElementsAre(Pair(WasteReason::kReplayed, 4)));
  // It stays out for as long as after a step that failed.
  absl::Notification may_try;
  std::thread lane([&] {
    EXPECT_TRUE(scheduler_->AwaitRetry(0));
    may_try.Notify();
  });
  EXPECT_FALSE(may_try.WaitForNotificationWithTimeout(absl::Milliseconds(100)));
  clock_.Advance(LaneHealth::kFirstBackoff);
  lane.join();
  scheduler_->ReturnLane(0);
  Submit(1);
  EXPECT_THAT(Tick(0), ElementsAre(3));
}

// The hung thread may still read the guide.
TEST_F(BatchSchedulerTest, ABatchKeepsWhatItsRowsPointTo) {
  Scheduler();
  GenerationRequest request;
  request.guide = Guide{2, GuideFit::kRefuse, {}};
  auto planes = std::make_shared<const std::vector<float>>(64, 0.5f);
  const std::weak_ptr<const std::vector<float>> watch = planes;
  const auto accepted =
      SubmitAtOnce(*scheduler_, version_, request,
                   std::make_shared<RecordingSink>(), std::move(planes));
  ASSERT_TRUE(accepted.ok()) << accepted.status();
  LaneBatch hangs = Next();
  scheduler_->AbandonLane(0);
  scheduler_->Cancel(accepted->id);
  scheduler_->Sweep();
  ASSERT_FALSE(watch.expired());
  EXPECT_EQ(hangs.rows.at(0).guide, watch.lock()->data());
  hangs.Clear();
  EXPECT_TRUE(watch.expired());
}

TEST_F(BatchSchedulerTest,
       AnAbandonedLanesRequestsThatHadEndedGiveUpTheirRoom) {
  Scheduler(/*max_batch_size=*/2, /*max_queued_images=*/2);
  const auto sink = Submit(2);
  Tick();
  const LaneBatch hangs = Next();
  scheduler_->Cancel(last_id_);
  scheduler_->Sweep();
  EXPECT_EQ(sink->status().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(TrySubmit(1, version_).status().code(),
            absl::StatusCode::kResourceExhausted);
  scheduler_->AbandonLane(0);
  EXPECT_THAT(observer_.events().wasted_steps,
              ElementsAre(Pair(WasteReason::kCancelled, 2)));
  Submit(2);
}

TEST_F(BatchSchedulerTest, WhenEveryLaneHangsCallersAreToldAfterTheOutage) {
  Scheduler();
  const auto sink = Submit(1);
  const LaneBatch hangs = Next();
  scheduler_->AbandonLane(0);
  const absl::Time next = scheduler_->Sweep();
  EXPECT_EQ(next, clock_.Now() + absl::Seconds(10));
  EXPECT_FALSE(sink->finished());
  clock_.Advance(next - clock_.Now());
  scheduler_->Sweep();
  EXPECT_EQ(sink->status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(TrySubmit(1, version_).status().code(),
            absl::StatusCode::kUnavailable);
  // Back at last, for a new runner.
  scheduler_->FinishBatch(0, absl::InternalError("timeout"));
  EXPECT_FALSE(scheduler_->AnyLaneUp());
}

TEST_F(BatchSchedulerTest,
       WhatALaneKeepsStartsAgainElsewhereIfItHangsBetweenTwoBatches) {
  Scheduler(/*max_batch_size=*/1, 64, /*num_lanes=*/2);
  const auto sink = Submit(1);
  Tick(0);
  scheduler_->AbandonLane(0);
  scheduler_->AbandonLane(0);  // No more than once.
  for (int step = 3; step >= 0; --step) {
    EXPECT_THAT(Tick(1), ElementsAre(step));
  }
  EXPECT_EQ(sink->status(), absl::OkStatus());
  clock_.Advance(LaneHealth::kFirstBackoff);
  EXPECT_TRUE(scheduler_->AwaitRetry(0));
}

TEST_F(BatchSchedulerTest, ALaneMayHangInTheMakingOfItsRunner) {
  Scheduler();
  Submit(1);
  Next();
  scheduler_->FinishBatch(0, absl::InternalError("lost"));
  scheduler_->AbandonLane(0);
  scheduler_->ReturnLane(0);
  EXPECT_THAT(Tick(), ElementsAre(3));
}

TEST_F(BatchSchedulerTest, ARowThatHangsThreeLanesEndsItsRequest) {
  Scheduler(/*max_batch_size=*/8, 64, /*num_lanes=*/3);
  const auto sink = Submit(1);
  for (size_t lane : {0, 1, 2}) {
    EXPECT_FALSE(sink->finished());
    ASSERT_THAT(Next(lane).rows, SizeIs(1));
    scheduler_->AbandonLane(lane);
  }
  EXPECT_EQ(sink->status().code(), absl::StatusCode::kInternal);
}

TEST_F(BatchSchedulerTest, ALaneWhoseProbeFailsIsOutWithAllItHolds) {
  Scheduler(/*max_batch_size=*/8, 64, /*num_lanes=*/2);
  const auto broken = Submit(1);
  const auto other = Submit(1);
  ASSERT_THAT(Next(0).rows, SizeIs(2));
  StepOutcome outcome;
  outcome.not_finite = {0};
  EXPECT_EQ(scheduler_->FinishBatch(0, &outcome), LaneHealth::Action::kProbe);
  scheduler_->ProbeFailed(0, absl::InternalError("NaN everywhere"));
  EXPECT_EQ(broken->status().code(), absl::StatusCode::kInternal);
  for (int step = 3; step >= 0; --step) {
    EXPECT_THAT(Tick(1), ElementsAre(step));
  }
  EXPECT_EQ(other->status(), absl::OkStatus());
  scheduler_->Stop();
  EXPECT_FALSE(scheduler_->AwaitRetry(0));
}

// A model that gives NaN for one seed, among a thousand images of others.
TEST_F(BatchSchedulerTest, ARowThatIsNotFiniteEndsItsRequestAndDelaysNoOther) {
  constexpr uint64_t kBadSeed = 500;
  struct Run {
    std::vector<int> last_tick;  // By request, when it was finished.
    std::vector<absl::Status> statuses;
    RecordingObserver::Events events;
    int probes = 0;
  };
  const auto run = [&](bool broken) {
    RecordingObserver observer;
    RunnerScript script;
    if (broken) script.BreakSeed(kBadSeed, /*step=*/1);
    ScriptedBatchRunner runner(&script);
    BatchScheduler::Options options;
    options.lane_limits[0].max_batch_size = 32;
    options.max_queued_images = 2000;
    BatchScheduler scheduler(options, &observer, &clock_);
    std::vector<std::shared_ptr<RecordingSink>> sinks;
    for (uint64_t seed = 0; seed < 1000; ++seed) {
      GenerationRequest request;
      request.seed = seed;
      request.count = seed == kBadSeed ? 3 : 1;
      request.first_index = 40;
      sinks.push_back(std::make_shared<RecordingSink>());
      EXPECT_TRUE(
          SubmitAtOnce(scheduler, version_, request, sinks.back()).ok());
    }
    Run result;
    result.last_tick.assign(sinks.size(), -1);
    LaneBatch batch;
    size_t finished = 0;
    for (int tick = 0; finished < sinks.size(); ++tick) {
      EXPECT_TRUE(scheduler.NextBatch(0, &batch));
      runner.Forget(batch.forget);
      if (!batch.rows.empty()) {
        const LaneHealth::Action action = scheduler.FinishBatch(
            0, runner.RunStep(batch.version->model, batch.rows));
        EXPECT_NE(action, LaneHealth::Action::kTakeOut);
        result.probes += action == LaneHealth::Action::kProbe;
      }
      for (size_t i = 0; i < sinks.size(); ++i) {
        if (result.last_tick[i] >= 0 || !sinks[i]->finished()) continue;
        result.last_tick[i] = tick;
        ++finished;
      }
    }
    for (const auto& sink : sinks) result.statuses.push_back(sink->status());
    result.events = observer.events();
    scheduler.Interrupt(0);
    scheduler.NextBatch(0, &batch);
    runner.Forget(batch.forget);
    EXPECT_EQ(script.kept_trajectories(), 0);
    return result;
  };
  const Run sound = run(/*broken=*/false);
  const Run broken = run(/*broken=*/true);
  for (uint64_t seed = 0; seed < 1000; ++seed) {
    if (seed == kBadSeed) continue;
    EXPECT_EQ(broken.statuses[seed], absl::OkStatus());
    EXPECT_LE(broken.last_tick[seed], sound.last_tick[seed]) << seed;
  }
  EXPECT_EQ(broken.statuses[kBadSeed],
            absl::InternalError("the images of model digits version 1 are not "
                                "finite at seed 500, index 40, step 1"));
  EXPECT_THAT(broken.events.wasted_steps,
              ElementsAre(Pair(WasteReason::kStepFailed, 9)));
  EXPECT_EQ(broken.probes, 1);
  EXPECT_EQ(broken.events.queue_state, RecordingObserver::QueueState{});
}

}  // namespace
}  // namespace ddgan
