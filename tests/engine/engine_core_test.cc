#include "engine/engine_core.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/fakes/manual_clock.h"
#include "tests/fakes/recording_observer.h"
#include "tests/fakes/recording_sink.h"
#include "tests/fakes/scripted_batch_runner.h"
#include "tests/fakes/scripted_folder_events.h"
#include "tests/fakes/scripted_version_source.h"
#include "tests/fakes/submit_at_once.h"

namespace ddgan {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST(ValidateEngineOptionsTest, NamesTheOptionItsValueAndItsRange) {
  EngineOptions good;
  good.model_root = "models";
  EXPECT_EQ(ValidateEngineOptions(good), absl::OkStatus());

  EngineOptions options = good;
  options.model_root = "";
  EXPECT_THAT(std::string(ValidateEngineOptions(options).message()),
              HasSubstr("model_root is empty"));
  options = good;
  options.max_batch_sizes = {8, 257};
  EXPECT_EQ(
      ValidateEngineOptions(options),
      absl::InvalidArgumentError("max_batch_size is 257, must be in [1, 256]"));
  options = good;
  options.max_queued_images = 63;
  EXPECT_EQ(ValidateEngineOptions(options),
            absl::InvalidArgumentError(
                "max_queued_images is 63, must be in [64, 1000000]"));
  options = good;
  options.cpu_threads = -1;
  EXPECT_EQ(
      ValidateEngineOptions(options),
      absl::InvalidArgumentError("cpu_threads is -1, must be in [0, 256]"));
  options = good;
  options.max_batch_waits = {absl::Milliseconds(1500)};
  EXPECT_EQ(ValidateEngineOptions(options),
            absl::InvalidArgumentError(
                "max_batch_wait is 1.5s; allowed are 0 to 1s"));
  options = good;
  options.caller_weights = {{"a", 1}, {"b", 0}};
  EXPECT_EQ(ValidateEngineOptions(options),
            absl::InvalidArgumentError("caller_weights: the weight of 'b' is "
                                       "0; allowed are 0.001 to 1000"));
  options = good;
  options.max_queued_bytes = 1000;
  EXPECT_THAT(std::string(ValidateEngineOptions(options).message()),
              HasSubstr("max_queued_bytes is 1000"));
  options = good;
  options.poll_interval = absl::Milliseconds(9);
  EXPECT_EQ(ValidateEngineOptions(options),
            absl::InvalidArgumentError(
                "poll_interval is 9ms; allowed are 10ms to 1h"));
  options = good;
  options.keep_versions = 65;
  EXPECT_EQ(
      ValidateEngineOptions(options),
      absl::InvalidArgumentError("keep_versions is 65, must be in [1, 64]"));
  options = good;
  options.canary_bounds.max_mean_shift = 2.5;
  EXPECT_THAT(std::string(ValidateEngineOptions(options).message()),
              HasSubstr("max_mean_shift is 2.5; allowed are 0 to 2"));
  options = good;
  options.canary_bounds.max_deviation_ratio = 0.9;
  EXPECT_THAT(std::string(ValidateEngineOptions(options).message()),
              HasSubstr("max_deviation_ratio is 0.9; allowed are 1 and more"));
}

TEST(ValidateRequestTest, CountIsOneToSixtyFour) {
  GenerationRequest request;
  for (uint32_t count : {1u, 64u}) {
    request.count = count;
    EXPECT_EQ(ValidateRequest(request, 4), absl::OkStatus());
  }
  for (uint32_t count : {0u, 65u}) {
    request.count = count;
    EXPECT_EQ(ValidateRequest(request, 4),
              absl::InvalidArgumentError(
                  absl::StrCat("count is ", count, "; allowed are 1 to 64")));
  }
}

TEST(ValidateRequestTest, TheLastIndexFitsThirtyTwoBits) {
  GenerationRequest request;
  request.count = 2;
  request.first_index = std::numeric_limits<uint32_t>::max() - 1;
  EXPECT_EQ(ValidateRequest(request, 4), absl::OkStatus());
  ++request.first_index;
  EXPECT_EQ(ValidateRequest(request, 4),
            absl::InvalidArgumentError(
                "first_index is 4294967295; with count 2 allowed are 0 to "
                "4294967294"));
}

TEST(ValidateRequestTest, NoiseIsThatOfEveryImageOrOfNone) {
  GenerationRequest request;
  request.count = 2;
  request.noise = {{7, std::numeric_limits<uint32_t>::max()}, {7, 0}};
  request.first_index = std::numeric_limits<uint32_t>::max();  // Is ignored.
  EXPECT_EQ(ValidateRequest(request, 4), absl::OkStatus());
  request.noise.pop_back();
  EXPECT_EQ(ValidateRequest(request, 4),
            absl::InvalidArgumentError(
                "noise is of 1 images; allowed are none or count, 2"));
}

TEST(ValidateRequestTest, ACallersWeightIsAFiniteShare) {
  GenerationRequest request;
  request.caller_weight = 1000;
  EXPECT_EQ(ValidateRequest(request, 4), absl::OkStatus());
  for (const double weight : {0.0, 1e-310, -1.0, 1000.5, std::nan("")}) {
    request.caller_weight = weight;
    EXPECT_EQ(ValidateRequest(request, 4),
              absl::InvalidArgumentError(absl::StrCat(
                  "caller_weight is ", weight, "; allowed are 0.001 to 1000")));
  }
}

TEST(ValidateRequestTest, AGuideStartsAtAStepOfTheModel) {
  GenerationRequest request;
  request.guide = Guide{4, GuideFit::kRefuse, {}};
  EXPECT_EQ(ValidateRequest(request, 4), absl::OkStatus());
  EXPECT_EQ(ValidateRequest(request, 3),
            absl::InvalidArgumentError("guide.steps is 4; allowed are 1 to 3"));
}

class EngineCoreTest : public ::testing::Test {
 protected:
  // The scripted source stays within reach.
  absl::Status Start(size_t num_lanes = 1, int max_queued_images = 256,
                     Clock* clock = nullptr) {
    EngineCore::Options options;
    BatchLimits limits;
    limits.max_batch_size = 8;
    options.lane_limits.assign(num_lanes, limits);
    options.warm_up_every_bucket = false;
    options.max_queued_images = max_queued_images;
    std::vector<LanePool::LaneOptions> lanes;
    for (size_t i = 0; i < num_lanes; ++i) {
      lanes.push_back({"cpu", [this](const LaneWorker::NoticeTaker&) {
                         return std::make_unique<ScriptedBatchRunner>(&script_);
                       }});
    }
    auto events = std::make_unique<ScriptedFolderEvents>();
    events_ = events.get();
    absl::StatusOr<std::unique_ptr<Engine>> engine = EngineCore::Create(
        options, std::move(lanes), std::move(owned_source_), std::move(events),
        &observer_, clock == nullptr ? &clock_ : clock);
    if (!engine.ok()) return engine.status();
    engine_ = *std::move(engine);
    return absl::OkStatus();
  }

  ManualClock clock_;
  RecordingObserver observer_;
  RunnerScript script_;
  std::unique_ptr<ScriptedVersionSource> owned_source_ =
      std::make_unique<ScriptedVersionSource>();
  ScriptedVersionSource* const source_ = owned_source_.get();
  ScriptedFolderEvents* events_ = nullptr;
  std::unique_ptr<Engine> engine_;
};

TEST_F(EngineCoreTest, AnswersARequestWithTheVersionThatServesIt) {
  source_->Add(MakeServableVersion("digits", 12, 3));
  ASSERT_EQ(Start(), absl::OkStatus());
  EXPECT_TRUE(engine_->Ready());
  const auto sink = std::make_shared<RecordingSink>();
  GenerationRequest request;
  request.count = 3;
  request.seed = 5;
  const absl::StatusOr<Acceptance> accepted =
      SubmitAtOnce(*engine_, request, sink);
  ASSERT_TRUE(accepted.ok()) << accepted.status();
  EXPECT_EQ(accepted->identity, (ModelIdentity{"digits", 12, "digest-12"}));
  EXPECT_EQ(accepted->shape, (ImageShape{1, 8, 8}));
  EXPECT_EQ(accepted->num_timesteps, 3);
  EXPECT_EQ(sink->Await(), absl::OkStatus());
  EXPECT_THAT(sink->images(), SizeIs(3));
}

TEST_F(EngineCoreTest, ResolvesToTheVersionThatARequestWillRunOn) {
  source_->Add(MakeServableVersion("digits", 12, 3));
  ASSERT_EQ(Start(), absl::OkStatus());
  const absl::StatusOr<ResolvedModel> live = engine_->Resolve("", std::nullopt);
  ASSERT_TRUE(live.ok()) << live.status();
  EXPECT_EQ(live->identity, (ModelIdentity{"digits", 12, "digest-12"}));
  EXPECT_EQ(live->shape, (ImageShape{1, 8, 8}));
  EXPECT_EQ(live->num_timesteps, 3);
  EXPECT_EQ(engine_->Resolve("digits", 12)->version, live->version);
  EXPECT_TRUE(absl::IsNotFound(engine_->Resolve("digits", 13).status()));
  EXPECT_TRUE(absl::IsNotFound(engine_->Resolve("cats", {}).status()));
  EXPECT_THAT(std::string(engine_->Resolve("digits", 0).status().message()),
              HasSubstr("version is 0; allowed are 1 to"));
}

// A swap between the two changes the size of images; the request does not see
// it.
TEST_F(EngineCoreTest, ARequestRunsOnTheVersionThatItResolved) {
  source_->Add(MakeServableVersion("digits", 1));
  ASSERT_EQ(Start(), absl::OkStatus());
  GenerationRequest request;
  request.guide = Guide{2, GuideFit::kRefuse, {1, 8, 8}};
  absl::StatusOr<std::unique_ptr<Reservation>> place =
      engine_->Reserve(*engine_->Resolve("", std::nullopt), request);
  ASSERT_TRUE(place.ok()) << place.status();
  ServableVersion wider = MakeServableVersion("digits", 2);
  wider.shape = {1, 4, 16};
  source_->Add(std::move(wider));
  events_->Change();
  ASSERT_EQ(engine_->Resolve("", std::nullopt)->identity.version, 2);
  const auto picture = std::make_shared<const Picture>(
      Picture{{1, 8, 8}, std::vector<uint8_t>(64)});
  const auto sink = std::make_shared<RecordingSink>();
  const absl::StatusOr<Acceptance> accepted =
      engine_->Submit(*std::move(place), picture, sink);
  ASSERT_TRUE(accepted.ok()) << accepted.status();
  EXPECT_EQ(accepted->identity.version, 1);
  EXPECT_EQ(sink->Await(), absl::OkStatus());
}

TEST_F(EngineCoreTest, AGuideOfAnotherSizeIsRefusedAndGivesItsPlaceBack) {
  source_->Add(MakeServableVersion("digits", 1));
  ASSERT_EQ(Start(/*num_lanes=*/1, /*max_queued_images=*/1), absl::OkStatus());
  GenerationRequest request;
  const auto reserve = [&](const ImageShape& shape) {
    GenerationRequest request;
    request.guide = Guide{2, GuideFit::kRefuse, shape};
    return engine_->Reserve(*engine_->Resolve("", std::nullopt), request);
  };
  // By its shape alone, before anybody has decoded it.
  EXPECT_EQ(reserve({1, 9, 8}).status(),
            absl::InvalidArgumentError(
                "guide: the picture is 8x9 pixels, the model's images are 8x8; "
                "it has to have their size unless it is to be resized"));
  EXPECT_EQ(reserve({1, 0, 8}).status().code(),
            absl::StatusCode::kInvalidArgument);
  const auto sink = std::make_shared<RecordingSink>();
  const auto submit = [&](int height) {
    auto place = reserve({1, 8, 8});
    if (!place.ok()) return place.status();
    const size_t pixels = static_cast<size_t>(8 * height);
    return engine_
        ->Submit(*std::move(place),
                 std::make_shared<const Picture>(
                     Picture{{1, height, 8}, std::vector<uint8_t>(pixels)}),
                 sink)
        .status();
  };
  EXPECT_EQ(submit(9).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(submit(8), absl::OkStatus());
  EXPECT_EQ(sink->Await(), absl::OkStatus());
}

TEST_F(EngineCoreTest, WarmUpPrecedesServingAndIsNotReported) {
  source_->Add(MakeServableVersion("digits", 1, 2));
  ASSERT_EQ(Start(/*num_lanes=*/2), absl::OkStatus());
  // Sizes 1 and 8 on each lane, and one canary in two parts; T is 2.
  EXPECT_THAT(script_.batches(), SizeIs(2 * (2 + 2) + 2 * 2));
  const RecordingObserver::Events events = observer_.events();
  EXPECT_THAT(events.steps, IsEmpty());
  EXPECT_THAT(events.queue_waits, IsEmpty());
  EXPECT_EQ(events.images, 0);
  EXPECT_THAT(events.reloads, SizeIs(1));
}

TEST_F(EngineCoreTest, AVersionThatCannotMakeAnImageIsRefusedForAnOlderOne) {
  const ServableVersion broken = MakeServableVersion("digits", 2);
  script_.FailAlways(broken.model.get(), absl::InternalError("NaN"));
  source_->Add(broken);
  source_->Add(MakeServableVersion("digits", 1));
  ASSERT_EQ(Start(), absl::OkStatus());
  const std::vector<ModelStatus> models = engine_->ListModels();
  ASSERT_THAT(models, SizeIs(1));
  ASSERT_THAT(models[0].versions, SizeIs(2));
  EXPECT_EQ(models[0].versions[0].state, VersionState::kRefused);
  EXPECT_THAT(models[0].versions[0].reason, HasSubstr("NaN"));
  EXPECT_EQ(models[0].versions[1].state, VersionState::kLive);
}

TEST_F(EngineCoreTest, WithoutASoundVersionItIsNotReadyUntilOneComes) {
  source_->AddBroken("digits", 1, absl::DataLossError("torn"));
  ASSERT_EQ(Start(), absl::OkStatus());
  EXPECT_FALSE(engine_->Ready());
  EXPECT_EQ(SubmitAtOnce(*engine_, GenerationRequest(),
                         std::make_shared<RecordingSink>())
                .status()
                .code(),
            absl::StatusCode::kNotFound);
  source_->Add(MakeServableVersion("digits", 2));
  events_->Change();
  EXPECT_TRUE(engine_->Ready());
}

TEST_F(EngineCoreTest, WithoutAModelDirectoryThereIsNoEngine) {
  source_->RemoveRoot();
  EXPECT_EQ(Start().code(), absl::StatusCode::kNotFound);
}

TEST_F(EngineCoreTest, ANewVersionGoesLiveAndWhatWasInFlightEndsOnTheOld) {
  source_->Add(MakeServableVersion("digits", 1));
  ASSERT_EQ(Start(), absl::OkStatus());
  script_.Hold();
  const auto old_sink = std::make_shared<RecordingSink>();
  const auto old_one = SubmitAtOnce(*engine_, GenerationRequest(), old_sink);
  ASSERT_TRUE(old_one.ok());
  script_.AwaitHeldStep();
  source_->Add(MakeServableVersion("digits", 2));
  std::thread release([this] { script_.Release(); });
  events_->Change();  // Returns when the engine has done what it leads to.
  release.join();
  const auto new_sink = std::make_shared<RecordingSink>();
  const auto new_one = SubmitAtOnce(*engine_, GenerationRequest(), new_sink);
  ASSERT_TRUE(new_one.ok());
  EXPECT_EQ(old_one->identity.version, 1);
  EXPECT_EQ(new_one->identity.version, 2);
  EXPECT_EQ(old_sink->Await(), absl::OkStatus());
  EXPECT_EQ(new_sink->Await(), absl::OkStatus());
}

TEST_F(EngineCoreTest, AVersionWhoseImagesAreFarFromTheLiveOnesIsRefused) {
  source_->Add(MakeServableVersion("digits", 1));
  ASSERT_EQ(Start(), absl::OkStatus());
  const ServableVersion bright = MakeServableVersion("digits", 2);
  script_.SetMean(bright.model.get(), 0.7f);
  source_->Add(bright);
  events_->Change();
  const auto reloads = observer_.events().reloads;
  ASSERT_THAT(reloads, SizeIs(2));
  EXPECT_EQ(reloads[1].result, ReloadResult::kCanary);
  EXPECT_THAT(std::string(reloads[1].reason.message()), HasSubstr("mean"));
  EXPECT_EQ(engine_->ListModels()[0].versions[1].state, VersionState::kLive);
}

TEST_F(EngineCoreTest, ADrainEndsReloads) {
  source_->Add(MakeServableVersion("digits", 1));
  ASSERT_EQ(Start(), absl::OkStatus());
  engine_->Drain(absl::InfiniteFuture());
  source_->Add(MakeServableVersion("digits", 2));
  events_->Change();
  EXPECT_THAT(source_->loads(), ::testing::ElementsAre(1));
}

TEST_F(EngineCoreTest, PinsRollbacksAndChangesReachTheRegistry) {
  source_->Add(MakeServableVersion("digits", 1));
  ASSERT_EQ(Start(), absl::OkStatus());
  source_->Add(MakeServableVersion("digits", 2));
  events_->Change();
  std::atomic<int> changes = 0;
  const auto watch = engine_->WatchModels([&] { ++changes; });
  EXPECT_EQ(engine_->RollBack("digits"), absl::StatusOr<int64_t>(1));
  EXPECT_GT(changes, 0);
  EXPECT_EQ(engine_->ListModels()[0].pinned, 1);
  EXPECT_EQ(engine_->Pin("digits", 2), absl::OkStatus());
  EXPECT_EQ(engine_->ListModels()[0].versions[0].state, VersionState::kLive);
  EXPECT_EQ(engine_->Unpin("digits"), absl::OkStatus());
  EXPECT_EQ(engine_->ListModels()[0].pinned, std::nullopt);
}

TEST_F(EngineCoreTest, RefusalsHaveTheirOwnCodes) {
  source_->Add(MakeServableVersion("digits", 1));
  ASSERT_EQ(Start(), absl::OkStatus());
  const auto submit = [this](const GenerationRequest& request) {
    return SubmitAtOnce(*engine_, request, std::make_shared<RecordingSink>())
        .status()
        .code();
  };
  GenerationRequest request;
  request.count = 0;
  EXPECT_EQ(submit(request), absl::StatusCode::kInvalidArgument);
  request.count = 1;
  request.model = "faces";
  EXPECT_EQ(submit(request), absl::StatusCode::kNotFound);
  request.model = "digits";
  request.version = 2;
  EXPECT_EQ(submit(request), absl::StatusCode::kNotFound);
  request.version = 1;
  request.deadline = clock_.Now() - absl::Seconds(1);
  EXPECT_EQ(submit(request), absl::StatusCode::kDeadlineExceeded);
}

TEST_F(EngineCoreTest, DrainingTakesNothingMoreAndIsNotReady) {
  source_->Add(MakeServableVersion("digits", 1));
  ASSERT_EQ(Start(), absl::OkStatus());
  const auto sink = std::make_shared<RecordingSink>();
  ASSERT_TRUE(SubmitAtOnce(*engine_, GenerationRequest(), sink).ok());
  engine_->Drain(absl::InfiniteFuture());
  EXPECT_EQ(sink->status(), absl::OkStatus());
  EXPECT_FALSE(engine_->Ready());
  EXPECT_EQ(SubmitAtOnce(*engine_, GenerationRequest(),
                         std::make_shared<RecordingSink>())
                .status()
                .code(),
            absl::StatusCode::kUnavailable);
}

TEST_F(EngineCoreTest, ADeviceThatHangsIsSeenInReadinessAndThenInLiveness) {
  source_->Add(MakeServableVersion("digits", 1));
  ASSERT_EQ(Start(), absl::OkStatus());
  script_.HoldNext();
  const auto sink = std::make_shared<RecordingSink>();
  ASSERT_TRUE(SubmitAtOnce(*engine_, GenerationRequest(), sink).ok());
  script_.AwaitHeldStep();
  const auto pass = [this](absl::Duration duration) {
    for (const absl::Time end = clock_.Now() + duration; clock_.Now() < end;) {
      clock_.AwaitWaiterFor(clock_.Now() + kLookInterval);
      clock_.Advance(kLookInterval);
    }
    clock_.AwaitWaiterFor(clock_.Now() + kLookInterval);
  };
  pass(kShortestHang + kLookInterval);
  EXPECT_FALSE(engine_->Ready());
  EXPECT_EQ(engine_->Liveness(), absl::OkStatus());
  pass(kLostAfter + kLookInterval);
  EXPECT_EQ(sink->Await().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(engine_->Liveness().code(), absl::StatusCode::kInternal);
  script_.Release();
  while (!engine_->Ready()) pass(kLookInterval);
  pass(kLookInterval);
  EXPECT_EQ(engine_->Liveness(), absl::OkStatus());
}

TEST_F(EngineCoreTest, ADrainDoesNotWaitForATrialThatHangs) {
  source_->Add(MakeServableVersion("digits", 1));
  ASSERT_EQ(Start(), absl::OkStatus());
  source_->Add(MakeServableVersion("digits", 2));
  script_.HoldNext();
  std::thread change([this] { events_->Change(); });
  script_.AwaitHeldStep();
  engine_->Drain(absl::InfiniteFuture());
  change.join();  // The watcher has got over it, too.
  EXPECT_EQ(engine_->ListModels()[0].versions[0].state, VersionState::kOnDisk);
  EXPECT_THAT(observer_.events().reloads, SizeIs(1));
  script_.Release();
}

TEST_F(EngineCoreTest, DestructionWithWorkTellsEverySink) {
  source_->Add(MakeServableVersion("digits", 1));
  ASSERT_EQ(Start(), absl::OkStatus());
  script_.Hold();
  std::vector<std::shared_ptr<RecordingSink>> sinks;
  for (int i = 0; i < 20; ++i) {
    sinks.push_back(std::make_shared<RecordingSink>());
    ASSERT_TRUE(SubmitAtOnce(*engine_, GenerationRequest(), sinks.back()).ok());
  }
  script_.AwaitHeldStep();
  std::thread destroy([this] { engine_.reset(); });
  for (const auto& sink : sinks) {
    EXPECT_EQ(sink->Await().code(), absl::StatusCode::kUnavailable);
  }
  script_.Release();
  destroy.join();
  EXPECT_EQ(observer_.events().queue_state, RecordingObserver::QueueState{});
}

// A caller that asks for the next image from within the sink, as a server that
// refills a stream might.
TEST_F(EngineCoreTest, ASinkMayCallTheEngine) {
  struct ResubmittingSink : RecordingSink {
    void OnFinished(const absl::Status& status,
                    const GenerationTimings& timings) override {
      EXPECT_TRUE(SubmitAtOnce(*engine, GenerationRequest(), next).ok());
      engine->Cancel(1);
      RecordingSink::OnFinished(status, timings);
    }
    Engine* engine = nullptr;
    std::shared_ptr<RecordingSink> next = std::make_shared<RecordingSink>();
  };
  source_->Add(MakeServableVersion("digits", 1));
  ASSERT_EQ(Start(), absl::OkStatus());
  const auto sink = std::make_shared<ResubmittingSink>();
  sink->engine = engine_.get();
  ASSERT_TRUE(SubmitAtOnce(*engine_, GenerationRequest(), sink).ok());
  EXPECT_EQ(sink->Await(), absl::OkStatus());
  EXPECT_EQ(sink->next->Await(), absl::OkStatus());
}

TEST_F(EngineCoreTest, ManyThreadsSubmitAndCancelOnSeveralLanes) {
  constexpr int kThreads = 6;
  constexpr int kRequests = 60;
  source_->Add(MakeServableVersion("digits", 1));
  source_->Add(MakeServableVersion("cifar10", 4, 2));
  ASSERT_EQ(Start(/*num_lanes=*/3, /*max_queued_images=*/200, RealClock()),
            absl::OkStatus());
  std::atomic<int> images = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([this, t, &images] {
      std::mt19937_64 random(t);
      for (int i = 0; i < kRequests; ++i) {
        GenerationRequest request;
        request.model = random() % 2 == 0 ? "digits" : "cifar10";
        request.count = 1 + random() % 6;
        request.seed = random();
        request.first_index = static_cast<uint32_t>(random() % 1000);
        const auto sink = std::make_shared<RecordingSink>();
        const absl::StatusOr<Acceptance> accepted =
            SubmitAtOnce(*engine_, request, sink);
        ASSERT_TRUE(accepted.ok()) << accepted.status();
        const bool cancel = random() % 4 == 0;
        if (cancel) engine_->Cancel(accepted->id);
        const absl::Status status = sink->Await();
        if (!cancel || status.ok()) {
          EXPECT_EQ(status, absl::OkStatus());
          EXPECT_THAT(sink->images(), SizeIs(request.count));
        }
        for (const RecordingSink::Delivered& image : sink->images()) {
          EXPECT_EQ(image.pixels, ScriptedPixels(request.seed, image.index));
          ++images;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  engine_->Drain(absl::InfiniteFuture());
  engine_.reset();
  const RecordingObserver::Events events = observer_.events();
  EXPECT_EQ(events.images, images);
  EXPECT_EQ(events.queue_state, RecordingObserver::QueueState{});
}

}  // namespace
}  // namespace ddgan
