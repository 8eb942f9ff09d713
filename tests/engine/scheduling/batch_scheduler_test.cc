#include "engine/scheduling/batch_scheduler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/notification.h"
#include "engine/api/retry_hint.h"
#include "tests/fakes/manual_clock.h"
#include "tests/fakes/recording_observer.h"
#include "tests/fakes/recording_sink.h"
#include "tests/fakes/scripted_batch_runner.h"
#include "tests/fakes/scripted_version_source.h"
#include "tests/fakes/submit_at_once.h"

namespace ddgan {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

// The tests are the lanes: they take batches and say what came of them.
class BatchSchedulerTest : public ::testing::Test {
 protected:
  BatchScheduler& Scheduler(int max_batch_size = 8, int max_queued_images = 64,
                            size_t num_lanes = 1,
                            absl::Duration max_wait = absl::ZeroDuration()) {
    BatchScheduler::Options options;
    BatchLimits limits;
    limits.max_batch_size = max_batch_size;
    limits.max_wait = max_wait;
    options.lane_limits.assign(num_lanes, limits);
    options.max_queued_images = max_queued_images;
    return Scheduler(options);
  }
  BatchScheduler& Scheduler(const BatchScheduler::Options& options) {
    scheduler_.emplace(options, &observer_, &clock_);
    return *scheduler_;
  }

  absl::StatusOr<Acceptance> TrySubmit(
      uint32_t count, std::shared_ptr<const ServableVersion> version,
      absl::Time deadline = absl::InfiniteFuture()) {
    sink_ = std::make_shared<RecordingSink>();
    GenerationRequest request;
    request.count = count;
    request.seed = 7;
    request.deadline = deadline;
    return SubmitAtOnce(*scheduler_, std::move(version), request, sink_);
  }

  // Submits and returns the sink; `last_id_` is the request.
  std::shared_ptr<RecordingSink> Submit(
      uint32_t count, absl::Time deadline = absl::InfiniteFuture()) {
    return Submit(count, version_, deadline);
  }
  std::shared_ptr<RecordingSink> Submit(
      uint32_t count, std::shared_ptr<const ServableVersion> version,
      absl::Time deadline = absl::InfiniteFuture()) {
    const absl::StatusOr<Acceptance> ticket =
        TrySubmit(count, std::move(version), deadline);
    EXPECT_TRUE(ticket.ok()) << ticket.status();
    last_id_ = ticket.ok() ? ticket->id : 0;
    return sink_;
  }

  // Requests of one caller, 16 images each.
  void SubmitMany(const std::string& caller, int requests,
                  std::optional<double> weight = std::nullopt) {
    for (int i = 0; i < requests; ++i) {
      GenerationRequest request;
      request.count = 16;
      request.caller = caller;
      request.caller_weight = weight;
      sinks_[caller].push_back(std::make_shared<RecordingSink>());
      ASSERT_TRUE(
          SubmitAtOnce(*scheduler_, version_, request, sinks_[caller].back())
              .ok());
    }
  }

  // How many of those that SubmitMany asked for are done.
  int ImagesOf(const std::string& caller) {
    int count = 0;
    for (const auto& sink : sinks_[caller]) {
      count += static_cast<int>(sink->images().size());
    }
    return count;
  }

  // What the lane would run now; empty instead of blocking.
  LaneBatch Next(size_t lane = 0) {
    scheduler_->Interrupt(lane);
    LaneBatch batch;
    EXPECT_TRUE(scheduler_->NextBatch(lane, &batch));
    return batch;
  }

  void Succeed(const LaneBatch& batch, size_t lane = 0) {
    StepOutcome outcome;
    for (size_t i = 0; i < batch.rows.size(); ++i) {
      const StepRow& row = batch.rows[i];
      if (row.step == 0) {
        outcome.finished.push_back(
            {i, PixelBuffer(ScriptedPixels(row.seed, row.image_index))});
      }
    }
    // A runner may return them in any order.
    std::reverse(outcome.finished.begin(), outcome.finished.end());
    scheduler_->FinishBatch(lane, &outcome);
  }

  // One tick that goes well; the steps t of its rows.
  std::vector<int> Tick(size_t lane = 0) {
    const LaneBatch batch = Next(lane);
    if (!batch.rows.empty()) Succeed(batch, lane);
    return Steps(batch);
  }

  static std::vector<int> Steps(const LaneBatch& batch) {
    std::vector<int> steps;
    for (const StepRow& row : batch.rows) steps.push_back(row.step);
    return steps;
  }

  ManualClock clock_;
  RecordingObserver observer_;
  std::map<std::string, std::vector<std::shared_ptr<RecordingSink>>> sinks_;
  const std::shared_ptr<const ServableVersion> version_ =
      SharedServableVersion("digits", 1, /*num_timesteps=*/4);
  std::shared_ptr<RecordingSink> sink_;
  RequestId last_id_ = 0;
  std::optional<BatchScheduler> scheduler_;
};

TEST_F(BatchSchedulerTest, ARequestRunsItsStepsAndDeliversEveryImage) {
  Scheduler();
  const auto sink = Submit(2);
  EXPECT_THAT(Tick(), ElementsAre(3, 3));
  EXPECT_THAT(Tick(), ElementsAre(2, 2));
  EXPECT_THAT(Tick(), ElementsAre(1, 1));
  EXPECT_FALSE(sink->finished());
  EXPECT_THAT(Tick(), ElementsAre(0, 0));
  EXPECT_EQ(sink->status(), absl::OkStatus());
  ASSERT_THAT(sink->images(), SizeIs(2));
  EXPECT_EQ(sink->images()[1].index, 1);
  EXPECT_EQ(sink->images()[1].shape, version_->shape);
  EXPECT_EQ(sink->images()[1].pixels, ScriptedPixels(7, 1));
  EXPECT_EQ(observer_.events().images, 2);
  EXPECT_THAT(Tick(), IsEmpty());
}

TEST_F(BatchSchedulerTest, ImageIndexesCountFromFirstIndex) {
  Scheduler();
  GenerationRequest request;
  request.count = 2;
  request.first_index = 40;
  request.seed = 99;
  request.pixel_format = PixelFormat::kFloat32;
  const auto sink = std::make_shared<RecordingSink>();
  ASSERT_TRUE(SubmitAtOnce(*scheduler_, version_, request, sink).ok());
  const LaneBatch batch = Next();
  ASSERT_THAT(batch.rows, SizeIs(2));
  EXPECT_EQ(batch.version, version_);
  EXPECT_EQ(batch.rows[1].image_index, 41u);
  EXPECT_EQ(batch.rows[1].seed, 99u);
  EXPECT_EQ(batch.rows[1].pixel_format, PixelFormat::kFloat32);
  EXPECT_NE(batch.rows[0].id, batch.rows[1].id);
  Succeed(batch);
}

TEST_F(BatchSchedulerTest, ANewcomerJoinsAtTheNextTickAndLeavesWhenDone) {
  Scheduler();
  const auto first = Submit(1);
  EXPECT_THAT(Tick(), ElementsAre(3));
  const auto second = Submit(1);
  EXPECT_THAT(Tick(), ElementsAre(2, 3));
  EXPECT_THAT(Tick(), ElementsAre(1, 2));
  EXPECT_THAT(Tick(), ElementsAre(0, 1));
  EXPECT_TRUE(first->finished());
  EXPECT_FALSE(second->finished());
  EXPECT_THAT(Tick(), ElementsAre(0));
  EXPECT_TRUE(second->finished());
}

TEST_F(BatchSchedulerTest, OverfullBatchesServeInOrderOfArrival) {
  Scheduler(/*max_batch_size=*/2);
  const auto first = Submit(2);
  const auto second = Submit(1);
  for (int tick = 0; tick < 4; ++tick) EXPECT_THAT(Tick(), SizeIs(2));
  EXPECT_TRUE(first->finished());
  EXPECT_FALSE(second->finished());
  EXPECT_THAT(Tick(), ElementsAre(3));
}

TEST_F(BatchSchedulerTest, ModelsTakeTurnsAndATrajectoryStaysOnItsOwn) {
  Scheduler();
  const auto next_version = SharedServableVersion("faces", 2);
  const auto old_sink = Submit(1, version_);
  EXPECT_THAT(Tick(), ElementsAre(3));
  const auto new_sink = Submit(1, next_version);
  for (int step = 2; step >= 0; --step) {
    const LaneBatch of_old = Next();
    EXPECT_EQ(of_old.version, version_);
    EXPECT_THAT(Steps(of_old), ElementsAre(step));
    Succeed(of_old);
    const LaneBatch of_new = Next();
    EXPECT_EQ(of_new.version, next_version);
    EXPECT_THAT(Steps(of_new), ElementsAre(step + 1));
    Succeed(of_new);
  }
  EXPECT_TRUE(old_sink->finished());
  EXPECT_THAT(Tick(), ElementsAre(0));
  EXPECT_TRUE(new_sink->finished());
}

TEST_F(BatchSchedulerTest, ANewVersionDoesNotOvertakeWhatWaitsForTheOld) {
  Scheduler(/*max_batch_size=*/8);
  const auto next = SharedServableVersion("digits", 2, /*num_timesteps=*/4);
  const auto old_one = Submit(9);
  const auto new_one = Submit(1, next);
  std::vector<int64_t> versions;
  while (!new_one->finished()) {
    const LaneBatch batch = Next();
    versions.push_back(batch.version->identity.version);
    Succeed(batch);
    if (batch.version == next) {
      EXPECT_TRUE(old_one->finished());
    }
  }
  EXPECT_THAT(versions, ElementsAre(1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2));
}

TEST_F(BatchSchedulerTest, AVersionIsLetGoWithItsLastTrajectory) {
  Scheduler();
  auto version = SharedServableVersion("digits", 3, /*num_timesteps=*/1);
  const std::weak_ptr<const ServableVersion> watch = version;
  Submit(1, std::move(version));
  Tick();
  EXPECT_TRUE(watch.expired());
}

TEST_F(BatchSchedulerTest, QueueAndStepTimesAreMeasured) {
  Scheduler();
  const auto sink = Submit(1);
  clock_.Advance(absl::Milliseconds(30));
  for (int step = 0; step < 4; ++step) {
    const LaneBatch batch = Next();
    clock_.Advance(absl::Milliseconds(5));
    Succeed(batch);
  }
  EXPECT_EQ(sink->timings().queue, absl::Milliseconds(30));
  EXPECT_EQ(sink->timings().steps, absl::Milliseconds(20));
  EXPECT_THAT(observer_.events().queue_waits,
              ElementsAre(absl::Milliseconds(30)));
}

TEST_F(BatchSchedulerTest, QueueStateFollowsImagesFromQueueToDevice) {
  Scheduler(/*max_batch_size=*/2);
  const absl::Time accepted = clock_.Now();
  Submit(3);
  EXPECT_EQ(observer_.events().queue_state,
            (RecordingObserver::QueueState{3, 0, accepted}));
  clock_.Advance(absl::Seconds(1));
  Submit(1);
  const LaneBatch batch = Next();
  EXPECT_EQ(observer_.events().queue_state,
            (RecordingObserver::QueueState{2, 2, accepted}));
  Succeed(batch);
  for (int tick = 1; tick < 8; ++tick) Tick();
  EXPECT_EQ(observer_.events().queue_state, RecordingObserver::QueueState{});
}

TEST_F(BatchSchedulerTest, AFullQueueRefusesAtOnceAndTakesTheNextWhenFree) {
  Scheduler(/*max_batch_size=*/8, /*max_queued_images=*/4);
  Submit(3);
  const absl::StatusOr<Acceptance> refused = TrySubmit(2, version_);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(refused.status().message()),
              HasSubstr("no room for 2 images: 3 of at most 4"));
  EXPECT_THAT(observer_.events().refused,
              ElementsAre(RefusalReason::kQueueFull));
  Submit(1);
  for (int step = 0; step < 4; ++step) Tick();
  Submit(4);
}

TEST_F(BatchSchedulerTest, ADeadlineThatHasPassedIsRefusedOnArrival) {
  Scheduler();
  const absl::StatusOr<Acceptance> refused =
      TrySubmit(1, version_, clock_.Now());
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(observer_.events().refused,
              ElementsAre(RefusalReason::kDeadline));
}

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

TEST_F(BatchSchedulerTest, AnIdleLaneRunsAPartialBatchAfterMaxWait) {
  Scheduler(8, 64, /*num_lanes=*/1, /*max_wait=*/absl::Milliseconds(5));
  const auto sink = Submit(1);
  EXPECT_THAT(Next().rows, IsEmpty());
  std::thread lane([this] {
    LaneBatch batch;
    while (scheduler_->NextBatch(0, &batch)) Succeed(batch);
  });
  clock_.Advance(absl::Milliseconds(5));
  EXPECT_EQ(sink->Await(), absl::OkStatus());
  EXPECT_EQ(sink->timings().queue, absl::Milliseconds(5));
  scheduler_->Stop();
  lane.join();
}

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

TEST_F(BatchSchedulerTest, PreviewsGoToWhoAskedForThem) {
  struct PreviewSink : RecordingSink {
    void OnPreview(GeneratedImage x0, int t) override {
      previews.emplace_back(x0.index, t);
    }
    std::vector<std::pair<uint32_t, int>> previews;
  };
  Scheduler();
  const auto sink = std::make_shared<PreviewSink>();
  GenerationRequest request;
  request.previews = true;
  request.first_index = 9;
  ASSERT_TRUE(SubmitAtOnce(*scheduler_, version_, request, sink).ok());
  for (int step = 3; step >= 0; --step) {
    const LaneBatch batch = Next();
    ASSERT_THAT(batch.rows, SizeIs(1));
    EXPECT_EQ(batch.rows[0].preview, step > 0);
    StepOutcome outcome;
    if (step > 0) outcome.previews.push_back({0, {}});
    if (step == 0) outcome.finished.push_back({0, {}});
    scheduler_->FinishBatch(0, &outcome);
  }
  EXPECT_THAT(sink->previews, ElementsAre(Pair(9, 3), Pair(9, 2), Pair(9, 1)));
  EXPECT_EQ(sink->status(), absl::OkStatus());
}

TEST_F(BatchSchedulerTest,
       AGuidedTrajectoryStartsLateAndIsGivenItsPictureOnce) {
  Scheduler();
  const auto sink = std::make_shared<RecordingSink>();
  GenerationRequest request;
  request.guide.emplace();
  request.guide->steps = 2;
  const auto planes = std::make_shared<const std::vector<float>>(64, 0.5f);
  ASSERT_TRUE(SubmitAtOnce(*scheduler_, version_, request, sink, planes).ok());
  const LaneBatch first = Next();
  ASSERT_THAT(Steps(first), ElementsAre(1));
  EXPECT_EQ(first.rows[0].guide, planes->data());
  Succeed(first);
  const LaneBatch second = Next();
  ASSERT_THAT(Steps(second), ElementsAre(0));
  EXPECT_EQ(second.rows[0].guide, nullptr);
  Succeed(second);
  EXPECT_EQ(sink->status(), absl::OkStatus());
}

TEST_F(BatchSchedulerTest, IdleLanesSplitWhatArrives) {
  Scheduler(/*max_batch_size=*/8, 64, /*num_lanes=*/2);
  std::array<size_t, 2> first_batch = {};
  absl::BlockingCounter have_one(2);
  absl::Notification go_on;
  const auto run = [&](size_t lane) {
    LaneBatch batch;
    while (scheduler_->NextBatch(lane, &batch)) {
      if (batch.rows.empty()) continue;
      if (!go_on.HasBeenNotified()) {
        first_batch[lane] = batch.rows.size();
        have_one.DecrementCount();
        go_on.WaitForNotification();
      }
      Succeed(batch, lane);
    }
  };
  std::thread lane_0([&] { run(0); });
  std::thread lane_1([&] { run(1); });
  while (!scheduler_->idle(0) || !scheduler_->idle(1)) {
    std::this_thread::yield();
  }
  const auto sink = Submit(6);
  have_one.Wait();
  go_on.Notify();
  EXPECT_EQ(sink->Await(), absl::OkStatus());
  scheduler_->Stop();
  lane_0.join();
  lane_1.join();
  EXPECT_THAT(first_batch, ElementsAre(3, 3));
}

TEST_F(BatchSchedulerTest, BytesAreBoundedLikeImages) {
  BatchScheduler::Options options;
  options.max_queued_bytes = 2 * 64 * 9;  // Two 8x8 images.
  Scheduler(options);
  Submit(2);
  const auto refused = TrySubmit(1, version_);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("bytes"));
  EXPECT_TRUE(RetryAfter(refused.status()).has_value());
  for (int step = 0; step < 4; ++step) Tick();
  Submit(2);
}

TEST_F(BatchSchedulerTest, ADeadlineThatCannotBeMetIsRefusedOnArrival) {
  Scheduler(/*max_batch_size=*/1);
  version_->costs->Record(1, absl::Milliseconds(10));
  // 4 steps of 10 ms each, a margin of a half, and a tenth for the rest.
  EXPECT_EQ(TrySubmit(1, version_, clock_.Now() + absl::Milliseconds(66))
                .status()
                .code(),
            absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(observer_.events().refused,
              ElementsAre(RefusalReason::kUnmeetableDeadline));
  const auto first = Submit(1, clock_.Now() + absl::Milliseconds(67));
  // Behind that one it takes twice as long.
  const auto refused =
      TrySubmit(1, version_, clock_.Now() + absl::Milliseconds(110));
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(std::string(refused.status().message()),
              HasSubstr("1 images take about"));
  Submit(1, clock_.Now() + absl::Milliseconds(150));
}

TEST_F(BatchSchedulerTest, ADeadlineBehindASlowTickOfAnotherModelIsRefused) {
  Scheduler(/*max_batch_size=*/1);
  version_->costs->Record(1, absl::Milliseconds(10));
  const auto slow = SharedServableVersion("faces", 1);
  slow->costs->Record(1, absl::Milliseconds(100));
  const auto none = Submit(1, slow);
  const LaneBatch running = Next();
  // 4 steps of 10 ms with a margin of a half come after the 100 ms; a tenth is
  // for the rest.
  EXPECT_EQ(TrySubmit(1, version_, clock_.Now() + absl::Milliseconds(176))
                .status()
                .code(),
            absl::StatusCode::kDeadlineExceeded);
  Submit(1, clock_.Now() + absl::Milliseconds(178));
  Succeed(running);
}

TEST_F(BatchSchedulerTest, ADeadlineAheadOfAnotherMustNotSpoilIt) {
  Scheduler(/*max_batch_size=*/1);
  version_->costs->Record(1, absl::Milliseconds(10));
  Submit(2, clock_.Now() + absl::Milliseconds(140));
  // This one alone would be in time, but it would go first.
  EXPECT_EQ(TrySubmit(1, version_, clock_.Now() + absl::Milliseconds(100))
                .status()
                .code(),
            absl::StatusCode::kDeadlineExceeded);
  Submit(1, clock_.Now() + absl::Seconds(1));
}

TEST_F(BatchSchedulerTest, AnAcceptedDeadlineIsMetAgainstTheShareOfOthers) {
  Scheduler(/*max_batch_size=*/1);
  version_->costs->Record(1, absl::Milliseconds(10));
  GenerationRequest crowd;
  crowd.count = 20;
  crowd.caller = "crowd";
  const auto others = std::make_shared<RecordingSink>();
  ASSERT_TRUE(SubmitAtOnce(*scheduler_, version_, crowd, others).ok());
  const auto sink = Submit(3, clock_.Now() + absl::Milliseconds(240));
  while (!sink->finished()) {
    const LaneBatch batch = Next();
    clock_.Advance(absl::Milliseconds(10));
    StepOutcome outcome;
    outcome.device_time = absl::Milliseconds(10);
    if (batch.rows[0].step == 0) outcome.finished.push_back({0, {}});
    scheduler_->FinishBatch(0, &outcome);
  }
  EXPECT_EQ(sink->status(), absl::OkStatus());
}

TEST_F(BatchSchedulerTest, ATicketTellsThePlaceInTheQueue) {
  Scheduler(/*max_batch_size=*/2);
  EXPECT_FALSE(TrySubmit(1, version_)->expected_start.has_value());
  version_->costs->Record(2, absl::Milliseconds(10));
  const auto next = TrySubmit(1, version_);
  EXPECT_EQ(next->images_ahead, 1);
  EXPECT_EQ(next->expected_start, absl::Milliseconds(10));
  // A full batch must run to its end first.
  EXPECT_EQ(TrySubmit(1, version_)->expected_start, absl::Milliseconds(40));
}

TEST_F(BatchSchedulerTest, ASmallRequestDoesNotWaitForALargeOneOfSomebodyElse) {
  Scheduler(/*max_batch_size=*/2);
  GenerationRequest request;
  request.count = 40;
  request.caller = "large";
  const auto large = std::make_shared<RecordingSink>();
  ASSERT_TRUE(SubmitAtOnce(*scheduler_, version_, request, large).ok());
  for (int tick = 0; tick < 5; ++tick) Tick();
  request.count = 1;
  request.caller = "small";
  const auto small = std::make_shared<RecordingSink>();
  ASSERT_TRUE(SubmitAtOnce(*scheduler_, version_, request, small).ok());
  for (int step = 0; step < 4; ++step) Tick();
  EXPECT_TRUE(small->finished());
}

// Each new caller alone would go first; together they may not hold up the large
// request beyond its share.
TEST_F(BatchSchedulerTest, AStreamOfNewCallersDoesNotStarveALargeRequest) {
  Scheduler(/*max_batch_size=*/2);
  GenerationRequest request;
  request.count = 32;
  request.caller = "large";
  const auto large = std::make_shared<RecordingSink>();
  ASSERT_TRUE(SubmitAtOnce(*scheduler_, version_, request, large).ok());
  int ticks = 0;
  for (; ticks < 2000 && !large->finished(); ++ticks) {
    // As much as the device can do, from somebody new each time.
    if (ticks % 2 == 0) {
      GenerationRequest other;
      other.caller = absl::StrCat("new ", ticks);
      const auto sink = std::make_shared<RecordingSink>();
      (void)SubmitAtOnce(*scheduler_, version_, other, sink);
    }
    Tick();
  }
  EXPECT_TRUE(large->finished());
  EXPECT_GT(ticks, 64);  // The others had something, too.
  EXPECT_LT(ticks, 1000);
}

TEST_F(BatchSchedulerTest, CallersShareTheDevicesByTheirWeights) {
  BatchScheduler::Options options;
  options.lane_limits[0].max_batch_size = 3;
  options.max_queued_images = 8000;
  options.caller_weights = {{"gold", 3}};
  Scheduler(options);
  // One had the device for itself for a while, which it owes nobody.
  SubmitMany("bronze", 200);
  for (int tick = 0; tick < 400; ++tick) Tick();
  const int head_start = ImagesOf("bronze");
  SubmitMany("gold", 200);
  for (int tick = 0; tick < 4000; ++tick) Tick();
  const double bronze = ImagesOf("bronze") - head_start;
  EXPECT_NEAR(ImagesOf("gold") / bronze, 3, 0.15);
}

TEST_F(BatchSchedulerTest, AClassThatHadTheDeviceToItselfIsNotHeldBackForIt) {
  Scheduler();
  const auto submit = [&](RequestClass request_class) {
    GenerationRequest request;
    request.count = 32;
    request.seed = static_cast<uint64_t>(request_class);
    request.request_class = request_class;
    const auto sink = std::make_shared<RecordingSink>();
    ASSERT_TRUE(SubmitAtOnce(*scheduler_, version_, request, sink).ok());
  };
  // Much work of one class, and nothing after it.
  for (int i = 0; i < 50; ++i) {
    submit(RequestClass::kInteractive);
    while (!Tick().empty()) {
    }
  }
  submit(RequestClass::kBatch);
  submit(RequestClass::kInteractive);
  int batch_rows = 0;
  for (int tick = 0; tick < 12; ++tick) {
    const LaneBatch batch = Next();
    ASSERT_THAT(batch.rows, SizeIs(8));
    for (const StepRow& row : batch.rows) {
      batch_rows += row.seed == static_cast<uint64_t>(RequestClass::kBatch);
    }
    Succeed(batch);
  }
  EXPECT_NEAR(batch_rows, 12 * 8 / 17.0, 1);
}

// Callers of both classes come and go at random. Whatever they had before: as
// long as all of them have work, each gets its share.
TEST_F(BatchSchedulerTest, AfterAnyHistoryNoClassAndNoCallerStarves) {
  struct Caller {
    RequestClass request_class;
    std::string name;
    double weight;
    double share;  // Of its class.
    std::deque<std::shared_ptr<RecordingSink>> sinks = {};
    int rows = 0;

    bool busy() {
      while (!sinks.empty() && sinks.front()->finished()) sinks.pop_front();
      return !sinks.empty();
    }
  };
  for (uint64_t seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    const auto pick = [&](int low, int high) {
      return std::uniform_int_distribution<int>(low, high)(random);
    };
    Scheduler(/*max_batch_size=*/pick(1, 8), /*max_queued_images=*/1000);
    std::vector<Caller> callers = {{RequestClass::kInteractive, "a", 1, 0.25},
                                   {RequestClass::kInteractive, "b", 3, 0.75},
                                   {RequestClass::kBatch, "a", 1, 1 / 3.0},
                                   {RequestClass::kBatch, "c", 2, 2 / 3.0}};
    const auto submit = [&](size_t caller) {
      GenerationRequest request;
      request.count = pick(1, 8);
      request.seed = caller;  // Tells its rows from others.
      request.caller = callers[caller].name;
      request.caller_weight = callers[caller].weight;
      request.request_class = callers[caller].request_class;
      callers[caller].sinks.push_back(std::make_shared<RecordingSink>());
      ASSERT_TRUE(SubmitAtOnce(*scheduler_, version_, request,
                               callers[caller].sinks.back())
                      .ok());
    };
    const auto tick = [&] {
      const LaneBatch batch = Next();
      for (const StepRow& row : batch.rows) ++callers[row.seed].rows;
      if (!batch.rows.empty()) Succeed(batch);
      return static_cast<int>(batch.rows.size());
    };
    for (int phase = pick(1, 8); phase > 0; --phase) {
      std::vector<size_t> present;
      for (size_t c = 0; c < callers.size(); ++c) {
        if (pick(0, 1) == 0) present.push_back(c);
      }
      for (int left = pick(0, 8000); left > 0 && !present.empty();) {
        for (size_t c : present) {
          if (!callers[c].busy()) submit(c);
        }
        left -= tick();
      }
      if (pick(0, 1) == 0) {
        while (tick() > 0) {
        }
      }
    }

    for (Caller& caller : callers) caller.rows = 0;
    int total = 0;
    while (total < 17 * 1000) {
      for (size_t c = 0; c < callers.size(); ++c) {
        while (!callers[c].busy() || callers[c].sinks.size() < 3) submit(c);
      }
      total += tick();
    }
    for (const Caller& caller : callers) {
      const double fair =
          total * caller.share *
          kClassWeights[static_cast<int>(caller.request_class)] / 17;
      // A request is finished in one go: one of them, of 32 rows, may have been
      // ahead at each end.
      EXPECT_NEAR(caller.rows, fair, 0.02 * fair + 64) << caller.name;
    }
    if (HasFailure()) return;
  }
}

TEST_F(BatchSchedulerTest, ARequestMaySetItsCallersWeightAnewWhileItHasWork) {
  BatchScheduler::Options options;
  options.lane_limits[0].max_batch_size = 3;
  options.max_queued_images = 8000;
  options.caller_weights = {{"gold", 3}};
  Scheduler(options);
  SubmitMany("bronze", 200, 1);
  SubmitMany("gold", 200, 5);
  for (int tick = 0; tick < 2000; ++tick) Tick();
  const double bronze = ImagesOf("bronze");
  const double gold = ImagesOf("gold");
  EXPECT_NEAR(gold / bronze, 5, 0.4);
  SubmitMany("gold", 1, 2);
  for (int tick = 0; tick < 2000; ++tick) Tick();
  EXPECT_NEAR((ImagesOf("gold") - gold) / (ImagesOf("bronze") - bronze), 2,
              0.2);
}

TEST_F(BatchSchedulerTest, ATrajectoryStaysOnTheLaneOfItsFirstStep) {
  Scheduler(/*max_batch_size=*/1, 64, /*num_lanes=*/2);
  const auto first = Submit(1);
  const auto second = Submit(1);
  const LaneBatch on_lane_0 = Next(0);
  const LaneBatch on_lane_1 = Next(1);
  Succeed(on_lane_1, 1);
  Succeed(on_lane_0, 0);
  for (int step = 2; step >= 0; --step) {
    const LaneBatch again = Next(1);
    ASSERT_THAT(again.rows, SizeIs(1));
    EXPECT_EQ(again.rows[0].id, on_lane_1.rows[0].id);
    Succeed(again, 1);
  }
  EXPECT_TRUE(second->finished());
  EXPECT_THAT(Next(1).rows, IsEmpty());
  EXPECT_FALSE(first->finished());
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

TEST_F(BatchSchedulerTest, StopSendsLanesHome) {
  Scheduler();
  const auto sink = Submit(1);
  scheduler_->Stop();
  EXPECT_EQ(sink->status().code(), absl::StatusCode::kUnavailable);
  LaneBatch batch;
  EXPECT_FALSE(scheduler_->NextBatch(0, &batch));
}

// Random arrivals, cancellations, deadlines and failures on a few lanes. Every
// request ends once, every step that ran is either in an image or waste, and
// the runners are told to forget all that did not end by itself.
TEST_F(BatchSchedulerTest, InThousandsOfRandomRunsEverythingIsAccountedFor) {
  for (uint64_t seed = 0; seed < 2000; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    const auto pick = [&](int low, int high) {
      return std::uniform_int_distribution<int>(low, high)(random);
    };
    ManualClock clock;
    RecordingObserver observer;
    RunnerScript script;
    BatchScheduler::Options options;
    BatchLimits limits;
    limits.max_batch_size = pick(1, 8);
    limits.max_wait = absl::Milliseconds(pick(0, 2));
    options.max_queued_images = pick(8, 40);
    options.lane_limits.assign(pick(1, 3), limits);
    options.caller_weights = {{"a", 2}};
    BatchScheduler scheduler(options, &observer, &clock);
    const std::vector<std::shared_ptr<const ServableVersion>> versions = {
        SharedServableVersion("a", 1, pick(1, 4)),
        SharedServableVersion("b", 1, pick(1, 4))};

    struct LaneState {
      std::unique_ptr<ScriptedBatchRunner> runner;
      LaneBatch batch;  // Running, if it has rows.
      bool up = true;
    };
    std::vector<LaneState> lanes(options.lane_limits.size());
    for (LaneState& lane : lanes) {
      lane.runner = std::make_unique<ScriptedBatchRunner>(&script);
    }
    struct Accepted {
      RequestId id;
      int num_timesteps;
      std::shared_ptr<RecordingSink> sink;
    };
    std::vector<Accepted> accepted;
    int rows_run = 0;

    const auto finish = [&](size_t i) {
      LaneState& lane = lanes[i];
      if (pick(0, 19) == 0) {
        script.FailNext(pick(0, 1) == 0
                            ? absl::InternalError("scripted")
                            : absl::ResourceExhaustedError("scripted"));
      }
      const absl::StatusOr<StepOutcome*> outcome =
          lane.runner->RunStep(lane.batch.version->model, lane.batch.rows);
      if (outcome.ok()) rows_run += static_cast<int>(lane.batch.rows.size());
      lane.batch.rows.clear();
      if (scheduler.FinishBatch(i, outcome) == LaneHealth::Action::kTakeOut) {
        // Its runner goes, with all that it holds.
        lane.runner = std::make_unique<ScriptedBatchRunner>(&script);
        lane.up = false;
      }
    };
    const auto advance_lane = [&](size_t i) {
      LaneState& lane = lanes[i];
      if (!lane.up) {
        scheduler.ReturnLane(i);
        lane.up = true;
        return;
      }
      if (!lane.batch.rows.empty()) {
        finish(i);
        return;
      }
      scheduler.Interrupt(i);
      ASSERT_TRUE(scheduler.NextBatch(i, &lane.batch));
      ASSERT_LE(lane.batch.rows.size(),
                static_cast<size_t>(limits.max_batch_size));
      lane.runner->Forget(lane.batch.forget);
    };

    for (int event = 0; event < 60; ++event) {
      switch (pick(0, 5)) {
        case 0: {
          GenerationRequest request;
          request.count = pick(1, 6);
          request.caller = pick(0, 1) == 0 ? "a" : "b";
          request.request_class = pick(0, 1) == 0 ? RequestClass::kInteractive
                                                  : RequestClass::kBatch;
          if (pick(0, 3) == 0) {
            request.deadline = clock.Now() + absl::Milliseconds(pick(1, 10));
          }
          auto sink = std::make_shared<RecordingSink>();
          const auto& version = versions[pick(0, 1)];
          const auto ticket = SubmitAtOnce(scheduler, version, request, sink);
          if (ticket.ok()) {
            accepted.push_back(
                {ticket->id, version->num_timesteps, std::move(sink)});
          }
          break;
        }
        case 1:
          if (!accepted.empty() && pick(0, 2) == 0) {
            scheduler.Cancel(
                accepted[pick(0, static_cast<int>(accepted.size()) - 1)].id);
          }
          break;
        case 2:
          clock.Advance(absl::Milliseconds(1));
          break;
        default:
          advance_lane(pick(0, static_cast<int>(lanes.size()) - 1));
      }
    }
    if (pick(0, 1) == 0) scheduler.Drain(clock.Now());
    // No more arrivals: everything ends within a bounded number of ticks.
    for (int tick = 0; tick < 400; ++tick) {
      clock.Advance(absl::Milliseconds(1));
      for (size_t i = 0; i < lanes.size(); ++i) advance_lane(i);
    }
    int accounted = 0;
    for (const Accepted& request : accepted) {
      ASSERT_TRUE(request.sink->finished());
      accounted += request.num_timesteps *
                   static_cast<int>(request.sink->images().size());
    }
    const RecordingObserver::Events events = observer.events();
    for (const auto& [reason, steps] : events.wasted_steps) accounted += steps;
    EXPECT_EQ(accounted, rows_run);
    EXPECT_EQ(events.queue_state, RecordingObserver::QueueState{});
    EXPECT_EQ(script.kept_trajectories(), 0);
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace ddgan
