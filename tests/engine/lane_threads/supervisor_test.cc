#include "engine/lane_threads/supervisor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
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

class SupervisorTest : public ::testing::Test {
 protected:
  ~SupervisorTest() override {
    if (script_ != nullptr) script_->Release();
    AwaitThreads();
  }

  LanePool::LaneOptions Lane(const std::string& device) {
    return {device,
            [this, script = script_.get()](const LaneWorker::NoticeTaker&) {
              if (during_creation_) during_creation_();
              return std::make_unique<ScriptedBatchRunner>(script);
            }};
  }

  void Create(std::vector<LanePool::LaneOptions> lanes) {
    BatchScheduler::Options options;
    options.lane_limits.assign(lanes.size(), BatchLimits());
    options.max_queued_images = GenerationRequest::kMaxCount;
    scheduler_.emplace(options, &observer_, &clock_);
    pool_ = std::make_unique<LanePool>(
        std::move(lanes),
        LanePool::Probe{.versions = [this] { return probed_; },
                        .run =
                            [this](BatchRunner&, const ServableVersion&) {
                              if (during_probe_) during_probe_();
                              return probe_status_;
                            }},
        &*scheduler_, &observer_, &clock_);
    supervisor_ =
        std::make_unique<Supervisor>(&*scheduler_, pool_.get(), &clock_);
  }

  void Start(std::vector<LanePool::LaneOptions> lanes) {
    Create(std::move(lanes));
    ASSERT_EQ(pool_->AwaitRunners(), absl::OkStatus());
  }

  std::shared_ptr<RecordingSink> Submit(
      const GenerationRequest& request = GenerationRequest()) {
    const auto sink = std::make_shared<RecordingSink>();
    const absl::StatusOr<Acceptance> accepted =
        SubmitAtOnce(*scheduler_, version_, request, sink);
    EXPECT_TRUE(accepted.ok()) << accepted.status();
    if (accepted.ok()) last_id_ = accepted->id;
    return sink;
  }

  // A request whose first step blocks on the lane that took it.
  std::shared_ptr<RecordingSink> SubmitAndHang() {
    script_->HoldNext();
    auto sink = Submit();
    script_->AwaitHeldStep();
    return sink;
  }

  // Time goes on while the supervisor looks as it should. It has looked when
  // this returns.
  void Pass(absl::Duration duration) {
    const absl::Time end = clock_.Now() + duration;
    while (clock_.Now() < end) {
      clock_.AwaitWaiterFor(clock_.Now() + kLookInterval);
      clock_.Advance(kLookInterval);
    }
    clock_.AwaitWaiterFor(clock_.Now() + kLookInterval);
  }

  // Time stands still meanwhile.
  static void Await(const std::function<bool()>& condition) {
    while (!condition()) std::this_thread::yield();
  }
  // No lane is in a call for which it was taken out: its thread would be left
  // behind, in the middle of this test's objects.
  void AwaitThreads() {
    if (pool_ == nullptr) return;
    for (const auto& lane : pool_->lanes()) {
      const LaneActivity activity = lane->state().activity;
      if (activity.kind == LaneActivity::Kind::kNone) continue;
      Await([&] { return lane->state().activity.number != activity.number; });
    }
  }
  // Lets what is held go on, after which the lane says that it had hung, waits
  // for its backoff and serves again.
  void ReleaseAndRecover() {
    const size_t told = observer_.events().device_health.size();
    script_->Release();
    Await([&] { return observer_.events().device_health.size() > told; });
    Pass(kLookInterval);
    Await([&] { return scheduler_->AnyLaneUp(); });
  }

  ManualClock clock_;
  RecordingObserver observer_;
  std::unique_ptr<RunnerScript> script_ = std::make_unique<RunnerScript>();
  std::function<void()> during_creation_;
  std::function<void()> during_probe_;
  absl::Status probe_status_;
  const std::shared_ptr<const ServableVersion> version_ =
      SharedServableVersion("digits", 1, /*num_timesteps=*/2);
  // What the probe of a new runner tries.
  std::vector<std::shared_ptr<const ServableVersion>> probed_ = {version_};
  RequestId last_id_ = 0;
  std::optional<BatchScheduler> scheduler_;
  std::unique_ptr<LanePool> pool_;
  std::unique_ptr<Supervisor> supervisor_;
};

TEST_F(SupervisorTest, ACancelledRequestEndsWhileTheOnlyLaneHangs) {
  Start({Lane("cpu")});
  const auto sink = SubmitAndHang();
  const auto waiting = Submit();
  scheduler_->Cancel(last_id_);
  EXPECT_EQ(waiting->Await().code(), absl::StatusCode::kCancelled);
  EXPECT_FALSE(sink->finished());
  scheduler_->Cancel(1);
  EXPECT_EQ(sink->Await().code(), absl::StatusCode::kCancelled);
  script_->Release();
}

TEST_F(SupervisorTest, AnExpiredRequestEndsAtItsDeadlineWhileTheOnlyLaneHangs) {
  Start({Lane("cpu")});
  GenerationRequest request;
  request.deadline = clock_.Now() + absl::Milliseconds(250);
  script_->HoldNext();
  const auto sink = Submit(request);
  script_->AwaitHeldStep();
  const auto waiting = Submit(request);
  clock_.Advance(absl::Milliseconds(249));
  clock_.AwaitWaiterFor(request.deadline);
  EXPECT_FALSE(sink->finished());
  clock_.Advance(absl::Milliseconds(1));
  EXPECT_EQ(sink->Await().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(waiting->Await().code(), absl::StatusCode::kDeadlineExceeded);
}

TEST_F(SupervisorTest, ALaneThatHangsIsOutAfterTheStatedTimeAndItsWorkReplays) {
  Start({Lane("cpu:0"), Lane("cpu:1")});
  version_->costs->Record(1, absl::Seconds(1));
  GenerationRequest request;
  request.seed = 77;
  script_->HoldNext();
  const auto sink = Submit(request);
  script_->AwaitHeldStep();
  Pass(kHangMultiple * absl::Seconds(1) - kLookInterval);
  EXPECT_THAT(observer_.events().device_health, SizeIs(2));
  EXPECT_FALSE(sink->finished());
  Pass(2 * kLookInterval);
  EXPECT_EQ(sink->Await(), absl::OkStatus());
  ASSERT_THAT(sink->images(), SizeIs(1));
  EXPECT_EQ(sink->images()[0].pixels, ScriptedPixels(77, 0));
  ASSERT_THAT(observer_.events().device_health, SizeIs(3));
  const auto [device, healthy] = observer_.events().device_health[2];
  EXPECT_FALSE(healthy);
  EXPECT_TRUE(scheduler_->AnyLaneUp());
  // However long it hangs, the process goes on with the other lane.
  Pass(2 * kLostAfter);
  EXPECT_EQ(supervisor_->Liveness(), absl::OkStatus());
  EXPECT_EQ(Submit()->Await(), absl::OkStatus());
}

TEST_F(SupervisorTest, AHungLaneThatComesBackServesAgainWithANewRunner) {
  Start({Lane("cpu")});
  version_->costs->Record(1, absl::Milliseconds(5));
  const auto sink = SubmitAndHang();
  std::atomic<int> created = 0;
  during_creation_ = [&] { ++created; };
  Pass(kShortestHang + kLookInterval);
  EXPECT_FALSE(scheduler_->AnyLaneUp());
  ReleaseAndRecover();
  // Its late result is not taken; the image is made anew.
  EXPECT_EQ(sink->Await(), absl::OkStatus());
  ASSERT_THAT(sink->images(), SizeIs(1));
  EXPECT_EQ(sink->images()[0].pixels, ScriptedPixels(0, 0));
  EXPECT_EQ(created, 1);
  EXPECT_THAT(observer_.events().device_health,
              ElementsAre(Pair("cpu", true), Pair("cpu", false),
                          Pair("cpu", false), Pair("cpu", true)));
}

TEST_F(SupervisorTest, WithoutALaneCallersAreToldAndThenTheProcessIsOverdue) {
  Start({Lane("cpu")});
  version_->costs->Record(1, absl::Milliseconds(5));
  const auto sink = SubmitAndHang();
  const absl::Time start = clock_.Now();
  Pass(kShortestHang);
  EXPECT_FALSE(scheduler_->AnyLaneUp());
  EXPECT_FALSE(sink->finished());
  Pass(BatchScheduler::Options().outage_limit);
  EXPECT_EQ(sink->Await().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(SubmitAtOnce(*scheduler_, version_, GenerationRequest(), sink)
                .status()
                .code(),
            absl::StatusCode::kUnavailable);
  EXPECT_EQ(supervisor_->Liveness(), absl::OkStatus());
  Pass(start + kShortestHang + kLostAfter - kLookInterval - clock_.Now());
  EXPECT_EQ(supervisor_->Liveness(), absl::OkStatus());
  Pass(2 * kLookInterval);
  const absl::Status liveness = supervisor_->Liveness();
  EXPECT_EQ(liveness.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(liveness.message()),
              HasSubstr("cpu: the device hangs and will not come back: a step "
                        "has not ended for 1m3"));
  ReleaseAndRecover();
  Pass(kLookInterval);
  EXPECT_EQ(supervisor_->Liveness(), absl::OkStatus());
  EXPECT_EQ(Submit()->Await(), absl::OkStatus());
}

TEST_F(SupervisorTest, ADeviceThatFailsForLongMakesTheProcessOverdue) {
  Start({Lane("cpu")});
  Pass(kLookInterval);  // It has looked while the lane served.
  probed_ = {version_};
  probe_status_ = absl::InternalError("illegal address");
  script_->BreakSeed(/*seed=*/0, /*step=*/0);
  EXPECT_EQ(Submit()->Await().code(), absl::StatusCode::kInternal);
  Await([this] { return !pool_->lanes()[0]->state().open; });
  Pass(kFailedAfter - 2 * kLookInterval);
  EXPECT_EQ(supervisor_->Liveness(), absl::OkStatus());
  Pass(4 * kLookInterval);
  EXPECT_EQ(supervisor_->Liveness(),
            absl::InternalError("no device has worked for 10m or longer"));
}

TEST_F(SupervisorTest, TimeInWhichTheWholeProcessStoodStillCondemnsNoLane) {
  Start({Lane("cpu")});
  version_->costs->Record(1, absl::Milliseconds(5));
  const auto sink = SubmitAndHang();
  Pass(5 * kLookInterval);
  clock_.Advance(absl::Hours(1));
  Pass(5 * kLookInterval);
  EXPECT_TRUE(scheduler_->AnyLaneUp());
  script_->Release();
  EXPECT_EQ(sink->Await(), absl::OkStatus());
}

TEST_F(SupervisorTest, AFirstRunnerWhoseCreationHangsIsAnErrorOfTheStart) {
  absl::Notification began, go_on;
  during_creation_ = [&] {
    began.Notify();
    go_on.WaitForNotification();
  };
  Create({Lane("cuda:0")});
  began.WaitForNotification();
  absl::Status status;
  std::thread start([&] { status = pool_->AwaitRunners(); });
  Pass(kUnmeasuredHang + kLookInterval);
  start.join();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("cuda:0: the device hangs: the making of its runner "
                        "has not ended for 5m"));
  go_on.Notify();
  AwaitThreads();
}

TEST_F(SupervisorTest, ACreationAndAProbeThatHangCountAsMuchAsAStep) {
  for (const bool probe : {false, true}) {
    SCOPED_TRACE(probe);
    Start({Lane("cpu")});
    absl::Notification began, go_on;
    (probe ? during_probe_ : during_creation_) = [&] {
      began.Notify();
      go_on.WaitForNotification();
    };
    script_->FailNext(absl::InternalError("broken"));
    const auto sink = Submit();
    while (!began.HasBeenNotified()) Pass(kLookInterval);
    Pass(kUnmeasuredHang + kLostAfter + kLookInterval);
    EXPECT_EQ(sink->Await().code(), absl::StatusCode::kUnavailable);
    EXPECT_EQ(supervisor_->Liveness().code(), absl::StatusCode::kInternal);
    go_on.Notify();
    Await([&] { return scheduler_->AnyLaneUp(); });
    Pass(kLookInterval);
    EXPECT_EQ(supervisor_->Liveness(), absl::OkStatus());
    supervisor_.reset();
    pool_.reset();
    during_creation_ = nullptr;
    during_probe_ = nullptr;
  }
}

TEST_F(SupervisorTest, EachVersionHasItsOwnTimeInTheProbeOfANewRunner) {
  Start({Lane("cpu")});
  probed_ = {version_, SharedServableVersion("digits", 2),
             SharedServableVersion("digits", 3)};
  std::atomic<int> probes = 0;
  std::atomic<int> let_go = 0;
  during_probe_ = [&] {
    const int number = ++probes;
    Await([&] { return let_go >= number; });
  };
  std::atomic<bool> created = false;
  during_creation_ = [&] { created = true; };
  script_->FailNext(absl::InternalError("broken"));
  const auto sink = Submit();
  while (!created) Pass(kLookInterval);  // Its backoff.
  for (int number = 1; number <= 3; ++number) {
    Await([&] { return probes == number; });
    Pass(kUnmeasuredHang - 2 * kLookInterval);
    ++let_go;
  }
  Await([&] { return scheduler_->AnyLaneUp(); });
  EXPECT_THAT(
      observer_.events().device_health,
      ElementsAre(Pair("cpu", true), Pair("cpu", false), Pair("cpu", true)));
}

// A new runner compiles and records a larger batch when it first comes, which
// what the step takes as a rule says nothing of.
TEST_F(SupervisorTest, TheFirstBatchOfItsSizeOnANewRunnerGetsTheTimeOfAProbe) {
  Start({Lane("cpu")});
  version_->costs->Record(1, absl::Milliseconds(5));
  const auto expected_in_step = [&](int count) {
    GenerationRequest request;
    request.count = static_cast<uint32_t>(count);
    script_->HoldNext();
    const auto sink = Submit(request);
    script_->AwaitHeldStep();
    const LaneActivity activity = pool_->lanes()[0]->state().activity;
    EXPECT_EQ(activity.kind, LaneActivity::Kind::kStep);
    script_->Release();
    EXPECT_EQ(sink->Await(), absl::OkStatus());
    return activity.expected.has_value();
  };
  const auto get_a_new_runner = [&] {
    const size_t told = observer_.events().device_health.size();
    script_->FailNext(absl::InternalError("broken"));
    const auto sink = Submit();
    Await([&] { return observer_.events().device_health.size() > told; });
    Pass(kLookInterval);
    EXPECT_EQ(sink->Await(), absl::OkStatus());
  };
  EXPECT_TRUE(expected_in_step(2));
  get_a_new_runner();
  EXPECT_TRUE(expected_in_step(1));  // It has run one by now.
  EXPECT_FALSE(expected_in_step(4));
  EXPECT_TRUE(expected_in_step(4));
  EXPECT_TRUE(expected_in_step(3));
  EXPECT_FALSE(expected_in_step(5));
  get_a_new_runner();
  EXPECT_FALSE(expected_in_step(5));
}

TEST_F(SupervisorTest, ALaneThatHasComeBackIsNotReportedAsLost) {
  Start({Lane("cpu")});
  const auto sink = SubmitAndHang();
  LaneWorker& lane = *pool_->lanes()[0];
  const LaneActivity activity = lane.state().activity;
  const absl::Status lost = absl::InternalError("lost");
  EXPECT_TRUE(lane.ReportLost(activity, lost));
  EXPECT_THAT(observer_.events().device_health,
              ElementsAre(Pair("cpu", true), Pair("cpu", false)));
  script_->Release();
  EXPECT_EQ(sink->Await(), absl::OkStatus());
  EXPECT_FALSE(lane.ReportLost(activity, lost));
  EXPECT_FALSE(lane.TakeOut(activity, lost));
  EXPECT_THAT(observer_.events().device_health, SizeIs(2));
}

TEST_F(SupervisorTest, ATaskThatHangsEndsForWhoWaitsAndTakesItsLaneOut) {
  Start({Lane("cpu:0"), Lane("cpu:1")});
  absl::Notification began;
  const auto go_on = std::make_shared<absl::Notification>();
  absl::Status status;
  std::thread task([&] {
    status = pool_->RunOnEveryLane([&began, go_on](size_t lane, BatchRunner&) {
      if (lane == 1) {
        began.Notify();
        go_on->WaitForNotification();
      }
      return LanePool::Slice();
    });
  });
  began.WaitForNotification();
  Pass(kUnmeasuredHang + 2 * kLookInterval);
  task.join();
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(status.message()), HasSubstr("a step of a trial"));
  EXPECT_EQ(Submit()->Await(), absl::OkStatus());
  const size_t told = observer_.events().device_health.size();
  go_on->Notify();
  Await([&] { return observer_.events().device_health.size() > told; });
  Pass(kLookInterval);
  Await([&] { return observer_.events().device_health.size() > told + 1; });
  EXPECT_THAT(observer_.events().device_health.back(), Pair("cpu:1", true));
}

TEST_F(SupervisorTest, TasksEndBeforeTheLaneThatHangsInOne) {
  Start({Lane("cpu")});
  absl::Notification began;
  const auto go_on = std::make_shared<absl::Notification>();
  std::thread end([&] {
    began.WaitForNotification();
    pool_->EndTasks();
  });
  EXPECT_EQ(pool_
                ->RunOnEveryLane([&began, go_on](size_t, BatchRunner&) {
                  began.Notify();
                  go_on->WaitForNotification();
                  return LanePool::Slice();
                })
                .code(),
            absl::StatusCode::kUnavailable);
  end.join();
  go_on->Notify();
}

// The thread that hangs never goes on: whom it would report to is gone.
TEST_F(SupervisorTest, APoolDoesNotWaitForALaneThatHangs) {
  RunnerScript* const script = script_.release();  // The thread is left in it.
  Start({{"cpu", [script](const LaneWorker::NoticeTaker&) {
            return std::make_unique<ScriptedBatchRunner>(script);
          }}});
  version_->costs->Record(1, absl::Milliseconds(5));
  script->HoldNext();
  const auto sink = Submit();
  script->AwaitHeldStep();
  Pass(kShortestHang + kLookInterval);
  scheduler_->Drain(absl::InfinitePast());
  EXPECT_EQ(sink->Await().code(), absl::StatusCode::kUnavailable);
  supervisor_.reset();
  pool_.reset();
  scheduler_.reset();
  script->Release();
}

TEST_F(SupervisorTest, WhatARunnerSaysWhenItsPoolIsGoneIsToldToNobody) {
  struct Shared {
    LaneWorker::NoticeTaker on_notice;
    absl::Notification began, go_on, said;
  };
  const auto shared = std::make_shared<Shared>();  // The thread is left in it.
  Start({{"cuda:0",
          [shared, script = script_.get()](LaneWorker::NoticeTaker taker) {
            shared->on_notice = std::move(taker);
            return std::make_unique<ScriptedBatchRunner>(script);
          }}});
  std::thread task([&] {
    EXPECT_FALSE(pool_
                     ->RunOnEveryLane([shared](size_t, BatchRunner&) {
                       shared->began.Notify();
                       shared->go_on.WaitForNotification();
                       shared->on_notice("late");
                       shared->said.Notify();
                       return LanePool::Slice();
                     })
                     .ok());
  });
  shared->began.WaitForNotification();
  Pass(kUnmeasuredHang + 2 * kLookInterval);
  task.join();
  supervisor_.reset();
  pool_.reset();
  shared->go_on.Notify();
  shared->said.WaitForNotification();
  // Time in which the thread would tell it.
  const absl::Time end = absl::Now() + absl::Milliseconds(100);
  while (observer_.events().device_notices.empty() && absl::Now() < end) {
    std::this_thread::yield();
  }
  EXPECT_THAT(observer_.events().device_notices, IsEmpty());
  script_.release();  // Its runner is never destroyed.
}

}  // namespace
}  // namespace ddgan
