// Ticks: which rows run, and what becomes of them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/notification.h"
#include "tests/engine/scheduling/batch_scheduler_fixture.h"

namespace ddgan {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;

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

TEST_F(BatchSchedulerTest, EachImageMayHaveNoiseOfItsOwn) {
  Scheduler();
  GenerationRequest request;
  request.count = 2;
  request.seed = 1;
  request.first_index = 2;
  request.noise = {{99, 3}, {98, 3}};
  const auto sink = std::make_shared<RecordingSink>();
  ASSERT_TRUE(SubmitAtOnce(*scheduler_, version_, request, sink).ok());
  const LaneBatch batch = Next();
  ASSERT_THAT(batch.rows, SizeIs(2));
  EXPECT_EQ(batch.rows[0].seed, 99u);
  EXPECT_EQ(batch.rows[0].image_index, 3u);
  EXPECT_EQ(batch.rows[1].seed, 98u);
  EXPECT_EQ(batch.rows[1].image_index, 3u);
  Succeed(batch);
  for (int step = 2; step >= 0; --step) Tick();
  ASSERT_THAT(sink->images(), SizeIs(2));
  for (const RecordingSink::Delivered& image : sink->images()) {
    EXPECT_EQ(image.index, 3u);
    EXPECT_EQ(image.pixels, ScriptedPixels(99 - image.position, 3));
  }
  EXPECT_NE(sink->images()[0].position, sink->images()[1].position);
}

TEST_F(BatchSchedulerTest, ABatchNamesTheRowsOfTracedRequestsAndNoOthers) {
  Scheduler();
  GenerationRequest request;
  request.count = 2;
  request.trace_tag = 77;
  const auto sink = std::make_shared<RecordingSink>();
  ASSERT_TRUE(SubmitAtOnce(*scheduler_, version_, request, sink).ok());
  Submit(1);
  const LaneBatch batch = Next();
  EXPECT_THAT(batch.rows, SizeIs(3));
  ASSERT_THAT(batch.traced, SizeIs(2));
  for (uint32_t i = 0; i < 2; ++i) {
    EXPECT_EQ(batch.traced[i].tag, 77u);
    EXPECT_EQ(batch.traced[i].position, i);
    EXPECT_EQ(batch.traced[i].step, 3);
  }
  Succeed(batch);
}

TEST_F(BatchSchedulerTest, TracedRowsOfAPartAreNamedAsInTheWholeRequest) {
  Scheduler();
  GenerationRequest request;
  request.count = 4;
  request.trace_tag = 77;
  auto place = *scheduler_->Reserve(version_, request);
  auto part = place->Take({0, 1, 3});
  auto last = part->Take({1, 2});
  const auto sink = std::make_shared<RecordingSink>();
  ASSERT_TRUE(
      scheduler_
          ->Submit(std::unique_ptr<BatchScheduler::Place>(
                       static_cast<BatchScheduler::Place*>(last.release())),
                   nullptr, sink)
          .ok());
  const LaneBatch batch = Next();
  ASSERT_THAT(batch.traced, SizeIs(2));
  EXPECT_EQ(batch.traced[0].position, 1u);
  EXPECT_EQ(batch.traced[1].position, 3u);
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
            (RecordingObserver::QueueState{3, 0, {.interactive = accepted}}));
  clock_.Advance(absl::Seconds(1));
  Submit(1);
  const LaneBatch batch = Next();
  EXPECT_EQ(observer_.events().queue_state,
            (RecordingObserver::QueueState{2, 2, {.interactive = accepted}}));
  Succeed(batch);
  for (int tick = 1; tick < 8; ++tick) Tick();
  EXPECT_EQ(observer_.events().queue_state, RecordingObserver::QueueState{});
}

TEST_F(BatchSchedulerTest,
       WhatChangesDuringAReportOfTheQueueIsReportedAfterIt) {
  struct SlowObserver : RecordingObserver {
    void OnQueueState(int queued, int inflight,
                      const OldestQueued& oldest) override {
      RecordingObserver::OnQueueState(queued, inflight, oldest);
      if (begun.HasBeenNotified()) return;
      begun.Notify();
      go_on.WaitForNotification();
    }
    absl::Notification begun;
    absl::Notification go_on;
  };
  SlowObserver observer;
  BatchScheduler scheduler({}, &observer, &clock_);
  const auto submit = [&](uint32_t count) {
    GenerationRequest request;
    request.count = count;
    EXPECT_TRUE(SubmitAtOnce(scheduler, version_, request,
                             std::make_shared<RecordingSink>())
                    .ok());
  };
  std::thread first([&] { submit(1); });
  observer.begun.WaitForNotification();
  submit(2);
  EXPECT_EQ(observer.events().queue_state.queued_images, 1);
  observer.go_on.Notify();
  first.join();
  EXPECT_EQ(observer.events().queue_state.queued_images, 3);
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

// Random arrivals, places that are held, cancellations, deadlines, failures and
// lanes that hang, on a few lanes. Every request ends once, every step that ran
// is either in an image or waste, and the runners are told to forget all that
// did not end by itself.
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
    script.BreakSeed(/*seed=*/0, pick(0, 3));
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

    struct TestLane {
      std::unique_ptr<ScriptedBatchRunner> runner;
      LaneBatch batch;  // Running, if it has rows.
      bool up = true;
    };
    std::vector<TestLane> lanes(options.lane_limits.size());
    for (TestLane& lane : lanes) {
      lane.runner = std::make_unique<ScriptedBatchRunner>(&script);
    }
    struct Accepted {
      RequestId id;
      int num_timesteps;
      std::shared_ptr<RecordingSink> sink;
    };
    std::vector<Accepted> accepted;
    std::vector<std::unique_ptr<BatchScheduler::Place>> places;
    int rows_run = 0;

    const auto finish = [&](size_t i) {
      TestLane& lane = lanes[i];
      // Abandoned, but it comes back.
      if (pick(0, 19) == 0) scheduler.AbandonLane(i);
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
      TestLane& lane = lanes[i];
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
          request.seed = pick(0, 19);
          request.caller = pick(0, 1) == 0 ? "a" : "b";
          request.request_class = pick(0, 1) == 0 ? RequestClass::kInteractive
                                                  : RequestClass::kBatch;
          if (pick(0, 3) == 0) {
            request.deadline = clock.Now() + absl::Milliseconds(pick(1, 10));
          }
          auto sink = std::make_shared<RecordingSink>();
          const auto& version = versions[pick(0, 1)];
          auto place = scheduler.Reserve(version, request);
          if (!place.ok()) break;
          if (pick(0, 3) == 0) {
            places.push_back(*std::move(place));
            if (pick(0, 1) == 0) break;
            place = std::move(places[pick(0, places.size() - 1)]);
            std::erase(places, nullptr);
          }
          const int num_timesteps = (*place)->version().num_timesteps;
          const auto ticket =
              scheduler.Submit(*std::move(place), nullptr, sink);
          if (ticket.ok()) {
            accepted.push_back({ticket->id, num_timesteps, std::move(sink)});
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
          scheduler.Sweep();
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
