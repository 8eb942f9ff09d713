#include "engine/lane_threads/lane_pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/fakes/manual_clock.h"
#include "tests/fakes/recording_observer.h"
#include "tests/fakes/recording_sink.h"
#include "tests/fakes/scripted_batch_runner.h"
#include "tests/fakes/scripted_version_source.h"
#include "tests/fakes/submit_at_once.h"

namespace ddgan {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;

class LanePoolTest : public ::testing::Test {
 protected:
  LanePool::LaneOptions Lane(const std::string& device) {
    return {device, [this](const LaneWorker::NoticeTaker&) {
              ++runners_created_;
              return std::make_unique<ScriptedBatchRunner>(&script_);
            }};
  }

  absl::Status Start(std::vector<LanePool::LaneOptions> lanes) {
    BatchScheduler::Options options;
    options.lane_limits.assign(lanes.size(), BatchLimits());
    scheduler_.emplace(options, &observer_, &clock_);
    pool_ = std::make_unique<LanePool>(
        std::move(lanes),
        LanePool::Probe{
            .versions = [this] { return std::vector{version_}; },
            .run =
                [this](BatchRunner& runner, const ServableVersion&) {
                  return probe_ ? probe_(runner) : absl::OkStatus();
                }},
        &*scheduler_, &observer_, &clock_);
    const absl::Status status = pool_->AwaitRunners();
    if (!status.ok()) pool_.reset();
    return status;
  }

  std::shared_ptr<RecordingSink> Submit(
      uint32_t count, std::shared_ptr<const ServableVersion> version) {
    const auto sink = std::make_shared<RecordingSink>();
    GenerationRequest request;
    request.count = count;
    EXPECT_TRUE(SubmitAtOnce(*scheduler_, version, request, sink).ok());
    return sink;
  }

  std::shared_ptr<RecordingSink> Submit(uint32_t count) {
    return Submit(count, version_);
  }

  ManualClock clock_;
  RecordingObserver observer_;
  RunnerScript script_;
  std::atomic<int> runners_created_ = 0;
  std::function<absl::Status(BatchRunner&)> probe_;
  const std::shared_ptr<const ServableVersion> version_ =
      SharedServableVersion("digits", 1, /*num_timesteps=*/2);
  std::optional<BatchScheduler> scheduler_;
  std::unique_ptr<LanePool> pool_;
};

TEST_F(LanePoolTest, ALaneRunsWhatIsSubmittedAndReportsItsSteps) {
  ASSERT_EQ(Start({Lane("cpu")}), absl::OkStatus());
  EXPECT_EQ(Submit(3)->Await(), absl::OkStatus());
  const RecordingObserver::Events events = observer_.events();
  ASSERT_THAT(events.steps, SizeIs(2));
  EXPECT_EQ(events.steps[0].model, version_->identity);
  EXPECT_EQ(events.steps[0].device, "cpu");
  EXPECT_THAT(events.steps[0].steps, ElementsAre(1, 1, 1));
  EXPECT_THAT(events.steps[1].steps, ElementsAre(0, 0, 0));
  EXPECT_EQ(events.steps[1].device_time, absl::Milliseconds(5));
  EXPECT_THAT(events.device_memory, ElementsAre(Pair("cpu", 1000)));
  EXPECT_THAT(events.device_health, ElementsAre(Pair("cpu", true)));
}

TEST_F(LanePoolTest, StepsOfTracedRequestsAreReportedWithTheirTags) {
  ASSERT_EQ(Start({Lane("cpu")}), absl::OkStatus());
  EXPECT_EQ(Submit(1)->Await(), absl::OkStatus());
  EXPECT_THAT(observer_.events().traced_steps, IsEmpty());
  script_.FailNext(absl::ResourceExhaustedError("no memory"));
  const auto sink = std::make_shared<RecordingSink>();
  GenerationRequest request;
  request.count = 2;
  request.trace_tag = 77;
  ASSERT_TRUE(SubmitAtOnce(*scheduler_, version_, request, sink).ok());
  EXPECT_EQ(sink->Await(), absl::OkStatus());
  const auto steps = observer_.events().traced_steps;
  // The one that failed, and then as the scheduler has them run again.
  ASSERT_GT(steps.size(), 2u);
  EXPECT_TRUE(absl::IsResourceExhausted(steps[0].status));
  EXPECT_EQ(steps[0].batch_size, 2);
  int rows = 0;
  for (size_t i = 1; i < steps.size(); ++i) {
    EXPECT_TRUE(steps[i].status.ok());
    EXPECT_EQ(steps[i].model, version_->identity);
    EXPECT_EQ(steps[i].device, "cpu");
    EXPECT_EQ(steps[i].device_time, absl::Milliseconds(5));
    EXPECT_EQ(steps[i].start, clock_.Now());
    EXPECT_EQ(steps[i].end, clock_.Now());
    for (const TracedStep::Row& row : steps[i].rows) {
      EXPECT_EQ(row.tag, 77u);
      ++rows;
    }
  }
  EXPECT_EQ(rows, 4);
}

TEST_F(LanePoolTest, ARunnerThatCannotBeCreatedIsAnErrorWithItsDevice) {
  EXPECT_EQ(Start({Lane("cuda:0"),
                   {"cuda:1",
                    [](const LaneWorker::NoticeTaker&) {
                      return absl::UnavailableError("no such device");
                    }}}),
            absl::UnavailableError("cuda:1: no such device"));
}

TEST_F(LanePoolTest, ALaneThatFailsComesBackWithANewRunnerAndItsRequestsLive) {
  ASSERT_EQ(Start({Lane("cpu")}), absl::OkStatus());
  EXPECT_EQ(Submit(1)->Await(), absl::OkStatus());
  std::atomic<int> probes = 0;
  probe_ = [&](BatchRunner&) {
    // What the runner held that is gone.
    EXPECT_THAT(observer_.events().device_memory, ElementsAre(Pair("cpu", 0)));
    return ++probes == 1 ? absl::InternalError("still broken")
                         : absl::OkStatus();
  };
  script_.FailNext(absl::InternalError("broken"));
  const auto sink = Submit(2);
  while (!sink->finished()) {
    clock_.AwaitWaiter();
    clock_.Advance(absl::Milliseconds(10));
  }
  EXPECT_EQ(sink->status(), absl::OkStatus());
  EXPECT_EQ(probes, 2);
  EXPECT_EQ(runners_created_, 3);
  EXPECT_THAT(observer_.events().device_health,
              ElementsAre(Pair("cpu", true), Pair("cpu", false),
                          Pair("cpu", false), Pair("cpu", true)));
}

TEST_F(LanePoolTest, WhatARunnerSaysInACallIsToldAfterIt) {
  LaneWorker::NoticeTaker on_notice;
  const LanePool::LaneOptions lane = {
      "cuda:0", [&](LaneWorker::NoticeTaker taker) {
        on_notice = std::move(taker);
        on_notice("created");
        return std::make_unique<ScriptedBatchRunner>(&script_);
      }};
  ASSERT_EQ(Start({lane}), absl::OkStatus());
  EXPECT_EQ(pool_->RunOnEveryLane([&](size_t, BatchRunner&) {
    on_notice("recorded");
    EXPECT_THAT(observer_.events().device_notices, SizeIs(1));
    return LanePool::Slice();
  }),
            absl::OkStatus());
  // Told before the end of the task is.
  EXPECT_THAT(
      observer_.events().device_notices,
      ElementsAre(Pair("cuda:0", "created"), Pair("cuda:0", "recorded")));
}

TEST_F(LanePoolTest, AnotherLaneTakesOverWhileOneIsOut) {
  ASSERT_EQ(Start({Lane("cpu:0"), Lane("cpu:1")}), absl::OkStatus());
  // The clock stands still, so a lane that is out stays out.
  script_.FailNext(absl::InternalError("broken"));
  EXPECT_EQ(Submit(3)->Await(), absl::OkStatus());
  EXPECT_EQ(Submit(3)->Await(), absl::OkStatus());
  int ran = 0;
  EXPECT_EQ(pool_->RunOnEveryLane([&](size_t, BatchRunner&) {
    ++ran;
    return LanePool::Slice();
  }),
            absl::OkStatus());
  EXPECT_EQ(ran, 1);
}

TEST_F(LanePoolTest, OutOfMemoryIsReportedAsASmallerBatch) {
  ASSERT_EQ(Start({Lane("cpu")}), absl::OkStatus());
  script_.FailNext(absl::ResourceExhaustedError("full"));
  EXPECT_EQ(Submit(8)->Await(), absl::OkStatus());
  EXPECT_THAT(observer_.events().batch_limits, ElementsAre(Pair("cpu", 4)));
  EXPECT_THAT(observer_.events().device_health, ElementsAre(Pair("cpu", true)));
}

TEST_F(LanePoolTest, AnIdleLaneForgetsWhatWasCancelled) {
  ASSERT_EQ(Start({Lane("cpu")}), absl::OkStatus());
  script_.Hold();
  const auto sink = std::make_shared<RecordingSink>();
  const auto ticket =
      SubmitAtOnce(*scheduler_, version_, GenerationRequest(), sink);
  ASSERT_TRUE(ticket.ok());
  script_.AwaitHeldStep();
  scheduler_->Cancel(ticket->id);
  script_.Release();
  EXPECT_EQ(sink->Await().code(), absl::StatusCode::kCancelled);
  // A task's turn comes after what the lane had to forget.
  EXPECT_EQ(pool_->RunOnEveryLane(
                [](size_t, BatchRunner&) { return LanePool::Slice(); }),
            absl::OkStatus());
  EXPECT_EQ(script_.kept_trajectories(), 0);
}

TEST_F(LanePoolTest, ATaskRunsOnceOnEveryLanesOwnThread) {
  ASSERT_EQ(Start({Lane("cpu:0"), Lane("cpu:1")}), absl::OkStatus());
  absl::Mutex mu;
  std::set<std::thread::id> threads;
  std::set<BatchRunner*> runners;
  EXPECT_EQ(pool_->RunOnEveryLane([&](size_t, BatchRunner& runner) {
    absl::MutexLock lock(&mu);
    threads.insert(std::this_thread::get_id());
    runners.insert(&runner);
    return LanePool::Slice();
  }),
            absl::OkStatus());
  EXPECT_THAT(threads, SizeIs(2));
  EXPECT_EQ(threads.count(std::this_thread::get_id()), 0u);
  EXPECT_THAT(runners, SizeIs(2));
}

TEST_F(LanePoolTest, ATaskRunsBetweenTicksOfABusyLane) {
  ASSERT_EQ(Start({Lane("cpu")}), absl::OkStatus());
  script_.Hold();
  const auto sink = Submit(1);
  script_.AwaitHeldStep();
  std::thread release([this] { script_.Release(); });
  EXPECT_EQ(pool_->RunOnEveryLane([](size_t, BatchRunner&) {
    return absl::InternalError("said the task");
  }),
            absl::InternalError("said the task"));
  release.join();
  EXPECT_EQ(sink->Await(), absl::OkStatus());
}

TEST_F(LanePoolTest, AnIdleLaneRunsSliceAfterSlice) {
  ASSERT_EQ(Start({Lane("cpu")}), absl::OkStatus());
  int slices = 0;
  EXPECT_EQ(pool_->RunOnEveryLane([&](size_t, BatchRunner&) {
    return LanePool::Slice{++slices < 7, absl::Hours(1)};
  }),
            absl::OkStatus());
  EXPECT_EQ(slices, 7);
  // An error ends a task, whatever was to follow.
  EXPECT_EQ(pool_->RunOnEveryLane(
                [&](size_t, BatchRunner&) -> absl::StatusOr<LanePool::Slice> {
                  if (++slices == 9) return absl::InternalError("enough");
                  return LanePool::Slice{true, absl::ZeroDuration()};
                }),
            absl::InternalError("enough"));
  EXPECT_EQ(slices, 9);
}

// A step of the script takes 5 ms, a slice here as much: so nine batches lie
// between one slice and the next.
TEST_F(LanePoolTest, SlicesGetATenthOfABusyLane) {
  ASSERT_EQ(Start({Lane("cpu")}), absl::OkStatus());
  std::vector<std::shared_ptr<RecordingSink>> sinks;
  const auto version = SharedServableVersion("digits", 2, /*num_timesteps=*/40);
  std::vector<size_t> batches_before;  // At each slice.
  EXPECT_EQ(pool_->RunOnEveryLane([&](size_t, BatchRunner&) {
    // From the first slice on there is more work than the others let through.
    while (sinks.size() < 800) sinks.push_back(Submit(1, version));
    batches_before.push_back(script_.batches().size());
    return LanePool::Slice{batches_before.size() < 4, absl::Milliseconds(5)};
  }),
            absl::OkStatus());
  for (const auto& sink : sinks) EXPECT_EQ(sink->Await(), absl::OkStatus());
  ASSERT_THAT(batches_before, SizeIs(4));
  for (size_t i = 1; i < batches_before.size(); ++i) {
    EXPECT_EQ(batches_before[i] - batches_before[i - 1], 9u) << i;
  }
}

TEST_F(LanePoolTest, ATaskForAStoppedPoolIsUnavailable) {
  ASSERT_EQ(Start({Lane("cpu")}), absl::OkStatus());
  scheduler_->Stop();
  EXPECT_EQ(pool_
                ->RunOnEveryLane(
                    [](size_t, BatchRunner&) { return LanePool::Slice(); })
                .code(),
            absl::StatusCode::kUnavailable);
}

TEST_F(LanePoolTest, DestructionEndsWhatIsQueued) {
  ASSERT_EQ(Start({Lane("cpu")}), absl::OkStatus());
  script_.Hold();
  const auto sink = Submit(1);
  script_.AwaitHeldStep();
  std::thread destroy([this] { pool_.reset(); });
  // The caller is told before the step is over.
  EXPECT_EQ(sink->Await().code(), absl::StatusCode::kUnavailable);
  script_.Release();
  destroy.join();
}

TEST_F(LanePoolTest, ARowThatIsNotFiniteIsAProbeOfTheLaneAndNoMore) {
  ASSERT_EQ(Start({Lane("cpu")}), absl::OkStatus());
  std::atomic<int> probes = 0;
  probe_ = [&](BatchRunner&) {
    ++probes;
    return absl::OkStatus();
  };
  script_.BreakSeed(/*seed=*/0, /*step=*/0);
  EXPECT_EQ(Submit(2)->Await().code(), absl::StatusCode::kInternal);
  while (probes == 0) std::this_thread::yield();
  EXPECT_EQ(Submit(2)->Await().code(), absl::StatusCode::kInternal);
  EXPECT_EQ(probes, 1);
  EXPECT_EQ(runners_created_, 1);
  EXPECT_THAT(observer_.events().device_health, ElementsAre(Pair("cpu", true)));
}

TEST_F(LanePoolTest, ALaneWhoseProbeFailsMakesANewRunner) {
  ASSERT_EQ(Start({Lane("cpu")}), absl::OkStatus());
  std::atomic<int> probes = 0;
  probe_ = [&](BatchRunner&) {
    return ++probes == 1 ? absl::InternalError("NaN everywhere")
                         : absl::OkStatus();
  };
  script_.BreakSeed(/*seed=*/0, /*step=*/0);
  EXPECT_EQ(Submit(2)->Await().code(), absl::StatusCode::kInternal);
  while (probes < 2) {
    clock_.AwaitWaiter();
    clock_.Advance(absl::Milliseconds(10));
  }
  EXPECT_EQ(runners_created_, 2);
}

}  // namespace
}  // namespace ddgan
