// The engine with its real parts on a model of a few weights.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/api/engine.h"
#include "tests/fakes/recording_observer.h"
#include "tests/fakes/recording_sink.h"
#include "tests/fakes/submit_at_once.h"
#include "tests/fakes/tiny_checkpoint.h"
#include "trainer/run/checkpoint_publisher.h"

namespace ddgan {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class CreateEngineTest : public ::testing::Test {
 protected:
  CreateEngineTest() {
    std::string name = ::testing::TempDir() + "create_engine_XXXXXX";
    root_ = ::mkdtemp(name.data());
    options_.model_root = root_;
    options_.cpu_threads = 1;
    options_.max_batch_sizes = {4};
  }
  ~CreateEngineTest() override { std::filesystem::remove_all(root_); }

  void Publish(const std::string& model, int64_t version) {
    const absl::StatusOr<ModelIdentity> published =
        PublishCheckpoint(root_, version, TinyCheckpointConfig(model),
                          TinyRandomWeights(TinyModelConfig()));
    ASSERT_TRUE(published.ok()) << published.status();
  }

  void Create() {
    absl::StatusOr<std::unique_ptr<Engine>> engine =
        CreateEngine(options_, &observer_);
    ASSERT_TRUE(engine.ok()) << engine.status();
    engine_ = *std::move(engine);
  }

  std::shared_ptr<RecordingSink> Submit(
      const GenerationRequest& request,
      std::shared_ptr<const Picture> guide = nullptr) {
    const auto sink = std::make_shared<RecordingSink>();
    const absl::Status refused =
        SubmitAtOnce(*engine_, request, sink, guide).status();
    EXPECT_EQ(refused, absl::OkStatus());
    if (!refused.ok()) sink->OnFinished(refused, {});  // Nobody else will.
    return sink;
  }

  std::filesystem::path root_;
  EngineOptions options_;
  RecordingObserver observer_;
  std::unique_ptr<Engine> engine_;
};

TEST_F(CreateEngineTest, AnImageDependsOnItsSeedAndIndexAlone) {
  Publish("digits", 5);
  Create();
  EXPECT_TRUE(engine_->Ready());
  EXPECT_THAT(observer_.events().steps, IsEmpty());  // Warm-up is silent.

  GenerationRequest request;
  request.seed = 7;
  request.count = 10;  // More than one batch.
  request.pixel_format = PixelFormat::kFloat32;
  const auto together = Submit(request);
  ASSERT_EQ(together->Await(), absl::OkStatus());
  ASSERT_THAT(together->images(), SizeIs(10));
  std::map<uint32_t, std::vector<uint8_t>> pixels;
  for (const RecordingSink::Delivered& image : together->images()) {
    EXPECT_EQ(image.shape, (ImageShape{1, 8, 8}));
    EXPECT_THAT(image.pixels, SizeIs(8 * 8 * sizeof(float)));
    pixels[image.index] = image.pixels;
  }
  EXPECT_NE(pixels[0], pixels[1]);

  request.count = 1;
  request.first_index = 6;
  const auto alone = Submit(request);
  ASSERT_EQ(alone->Await(), absl::OkStatus());
  EXPECT_EQ(alone->images().at(0).pixels, pixels[6]);
}

// Rows of all rules take their own number of steps, side by side on one lane.
TEST_F(CreateEngineTest, EveryModelIsSampledByItsOwnUpdateRule) {
  const std::map<std::string, std::pair<std::string, int>> models = {
      {"a", {"ancestral", 20}}, {"b", {"ddim:5", 5}}, {"c", {"pc", 39}}};
  for (const auto& [name, rule] : models) {
    CheckpointConfig config = TinyCheckpointConfig(name);
    config.model_config.num_timesteps = 20;
    config.model_config.objective = "denoising";
    config.model_config.sampler = rule.first;
    const absl::StatusOr<ModelIdentity> published = PublishCheckpoint(
        root_, 1, config, TinyRandomWeights(config.model_config));
    ASSERT_TRUE(published.ok()) << published.status();
  }
  Create();
  std::map<std::string, std::shared_ptr<RecordingSink>> sinks;
  GenerationRequest request;
  request.pixel_format = PixelFormat::kFloat32;
  request.count = 3;
  for (const auto& [name, rule] : models) {
    const absl::StatusOr<ResolvedModel> model =
        engine_->Resolve(name, std::nullopt);
    ASSERT_TRUE(model.ok()) << model.status();
    EXPECT_EQ(model->evaluations, rule.second);
    EXPECT_EQ(model->num_timesteps, 20);
    request.model = name;
    sinks[name] = Submit(request);
  }
  for (const auto& [name, sink] : sinks)
    EXPECT_EQ(sink->Await(), absl::OkStatus()) << name;
  const auto first = [&](const char* name) {
    return sinks[name]->images().at(0).pixels;
  };
  EXPECT_NE(first("a"), first("b"));
  EXPECT_NE(first("a"), first("c"));
  const RecordingObserver::Events events = observer_.events();
  size_t steps = 0;
  for (const auto& step : events.steps) steps += step.steps.size();
  EXPECT_EQ(steps, 3u * (20 + 5 + 39));
}

TEST_F(CreateEngineTest, AGuidedImageStartsFromItsPicture) {
  Publish("digits", 5);
  options_.devices = "cpu:2";
  Create();
  auto picture = std::make_shared<Picture>();
  picture->shape = {1, 8, 8};
  picture->pixels.assign(64, 255);
  GenerationRequest request;
  request.seed = 7;
  request.guide = Guide{1, GuideFit::kRefuse, {}};
  const auto guided = Submit(request, picture);
  ASSERT_EQ(guided->Await(), absl::OkStatus());
  request.guide->steps = 2;
  const auto more = Submit(request, picture);
  ASSERT_EQ(more->Await(), absl::OkStatus());
  EXPECT_THAT(more->images(), SizeIs(1));

  request.guide->steps = 3;
  const auto refusal = [&] {
    return std::string(SubmitAtOnce(*engine_, request,
                                    std::make_shared<RecordingSink>(), picture)
                           .status()
                           .message());
  };
  EXPECT_EQ(refusal(), "guide.steps is 3; allowed are 1 to 2");
  request.guide->steps = 1;
  picture = std::make_shared<Picture>();
  picture->shape = {3, 9, 8};
  picture->pixels.assign(3 * 72, 0);
  EXPECT_THAT(refusal(), HasSubstr("9"));
  request.guide->fit = GuideFit::kResize;
  EXPECT_EQ(Submit(request, picture)->Await(), absl::OkStatus());
}

TEST_F(CreateEngineTest, ATornVersionIsListedAndAnOlderOneServes) {
  Publish("digits", 1);
  Publish("digits", 2);
  std::ofstream(root_ / "digits" / "2" / kWeightsFileName, std::ios::app)
      << "more";
  Create();
  const std::vector<ModelStatus> models = engine_->ListModels();
  ASSERT_THAT(models, SizeIs(1));
  const std::vector<ModelVersionStatus>& versions = models[0].versions;
  ASSERT_THAT(versions, SizeIs(2));
  EXPECT_EQ(versions[0].state, VersionState::kRefused);
  EXPECT_THAT(versions[0].reason, HasSubstr("digits/2/model.safetensors"));
  EXPECT_EQ(versions[1].state, VersionState::kLive);
}

// With inotify, the real files, weights and lanes.
TEST_F(CreateEngineTest, WhatIsPublishedGoesLiveByItself) {
  options_.poll_interval = absl::Hours(1);
  Create();
  EXPECT_FALSE(engine_->Ready());
  absl::Mutex mu;
  int changes = 0;
  const auto watch = engine_->WatchModels([&] {
    absl::MutexLock lock(&mu);
    ++changes;
  });
  // The one that is live, once anything is.
  const auto await_live = [&](int64_t version) {
    int seen = 0;
    while (true) {
      for (const ModelStatus& model : engine_->ListModels()) {
        for (const ModelVersionStatus& status : model.versions) {
          if (status.state == VersionState::kLive &&
              status.identity.version == version) {
            return;
          }
        }
      }
      absl::MutexLock lock(&mu);
      auto changed = [&] { return changes > seen; };
      mu.Await(absl::Condition(&changed));
      seen = changes;
    }
  };
  Publish("digits", 1);
  await_live(1);
  EXPECT_TRUE(engine_->Ready());
  Publish("digits", 2);
  await_live(2);
  GenerationRequest request;
  const auto sink = std::make_shared<RecordingSink>();
  const absl::StatusOr<Acceptance> accepted =
      SubmitAtOnce(*engine_, request, sink);
  ASSERT_TRUE(accepted.ok());
  EXPECT_EQ(accepted->identity.version, 2);
  EXPECT_EQ(sink->Await(), absl::OkStatus());
}

TEST_F(CreateEngineTest, APinOutlivesTheProcessIfItHasAStateFolder) {
  Publish("digits", 1);
  Publish("digits", 2);
  std::filesystem::create_directory(root_ / "State");  // No model's name.
  options_.state_dir = root_ / "State";
  Create();
  ASSERT_EQ(engine_->Pin("digits", 1), absl::OkStatus());
  engine_.reset();
  Create();
  EXPECT_EQ(engine_->ListModels()[0].pinned, 1);
  EXPECT_EQ(engine_->ListModels()[0].versions[1].state, VersionState::kLive);
  options_.state_dir = root_ / "absent";
  EXPECT_EQ(CreateEngine(options_, &observer_).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST_F(CreateEngineTest, AnAbsentModelRootIsNotFound) {
  options_.model_root = root_ / "absent";
  EXPECT_EQ(CreateEngine(options_, &observer_).status().code(),
            absl::StatusCode::kNotFound);
}

TEST_F(CreateEngineTest, TheLongestQueueThatIsAllowedStarts) {
  options_.max_queued_images = 1'000'000;
  Create();
}

TEST_F(CreateEngineTest, AnOptionOutOfItsRangeIsInvalid) {
  options_.max_batch_sizes = {0};
  EXPECT_EQ(CreateEngine(options_, &observer_).status().code(),
            absl::StatusCode::kInvalidArgument);
  options_.max_batch_sizes = {1, 2, 3};
  options_.devices = "cpu:2";
  EXPECT_EQ(CreateEngine(options_, &observer_).status(),
            absl::InvalidArgumentError(
                "max_batch_size has 3 values for 2 lanes; allowed are one for "
                "all or one for each"));
  options_.max_batch_sizes = {};
  options_.devices = "cuda:9";
  EXPECT_THAT(
      std::string(CreateEngine(options_, &observer_).status().message()),
      HasSubstr("there is no cuda:9"));
}

}  // namespace
}  // namespace ddgan
