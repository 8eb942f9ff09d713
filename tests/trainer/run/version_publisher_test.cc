#include "trainer/run/version_publisher.h"

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "engine/checkpoint/model_directory.h"
#include "engine/checkpoint/safetensors.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/fakes/manual_clock.h"
#include "tests/fakes/temporary_folder.h"
#include "tests/fakes/tiny_checkpoint.h"

namespace ddgan {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class VersionPublisherTest : public ::testing::Test {
 protected:
  VersionPublisherTest() {
    options_.model_root = folder_.path() / "models";
    options_.config = TinyCheckpointConfig();
    options_.first_version = 100;
    options_.intervals = {.steps = 10, .time = absl::Minutes(5)};
  }

  std::unique_ptr<VersionPublisher> Open(int64_t steps_done = 0) {
    absl::StatusOr<std::unique_ptr<VersionPublisher>> publisher =
        VersionPublisher::Open(options_, folder_.path() / "published.json",
                               steps_done, &clock_, &reporter_);
    EXPECT_TRUE(publisher.ok()) << publisher.status();
    return *std::move(publisher);
  }

  absl::Status Publish(VersionPublisher& publisher, int64_t steps_done) {
    return publisher.Publish(steps_done, [this]() {
      ++serialized_;
      return weights_;
    });
  }

  // Newest first.
  std::vector<int64_t> Versions() const {
    return ListVersions(options_.model_root, "tiny").value();
  }

  const TemporaryFolder folder_;
  ManualClock clock_;
  VersionPublisher::Options options_;
  absl::StatusOr<std::string> weights_ = TinyWeights(TinyModelConfig());
  int serialized_ = 0;
  TrainingMetrics metrics_{"test", 1000};
  std::vector<std::string> lines_;  // For a person.
  ProgressDisplay display_{
      {.mode = ProgressMode::kLines,
       .is_terminal = false,
       .columns = nullptr,
       .batch_size = 4,
       .log_every = 1},
      [this](const std::string& text) { lines_.push_back(text); },
      &clock_};
  TrainingReporter reporter_{{}, &display_, &metrics_};
};

TEST_F(VersionPublisherTest, AVersionHasItsNumberAndTime) {
  const auto publisher = Open();
  ASSERT_TRUE(Publish(*publisher, 17).ok());
  const auto checkpoint = ReadCheckpoint(options_.model_root, "tiny", 117);
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  EXPECT_EQ(checkpoint->config.training_step, 117);
  EXPECT_EQ(checkpoint->config.created, "1970-01-12T13:46:40Z");
  EXPECT_THAT(metrics_.Text(),
              HasSubstr("ddgan_training_last_published_version 117"));
}

TEST_F(VersionPublisherTest, IsDueBySteps) {
  const auto publisher = Open();
  EXPECT_FALSE(publisher->IsDue(9));
  EXPECT_TRUE(publisher->IsDue(10));
}

TEST_F(VersionPublisherTest, IsDueWhenTheLastTryWasLongAgo) {
  const auto publisher = Open();
  clock_.Advance(absl::Minutes(5));
  EXPECT_TRUE(publisher->IsDue(3));
  weights_ = absl::ResourceExhaustedError("no memory");
  EXPECT_EQ(Publish(*publisher, 3), weights_.status());
  EXPECT_THAT(metrics_.Text(), HasSubstr("result=\"failed\"} 1"));
  EXPECT_FALSE(publisher->IsDue(4));
  clock_.Advance(absl::Minutes(5));
  EXPECT_TRUE(publisher->IsDue(4));
}

TEST_F(VersionPublisherTest, PublishesTheSameStepOnce) {
  ASSERT_TRUE(Publish(*Open(), 17).ok());
  const auto resumed = Open(17);
  ASSERT_TRUE(Publish(*resumed, 17).ok());
  EXPECT_EQ(serialized_, 1);
  EXPECT_THAT(metrics_.Text(), HasSubstr("result=\"published\"} 1"));
}

TEST_F(VersionPublisherTest, AVersionThatIsThereCountsAsPublished) {
  ASSERT_TRUE(Publish(*Open(), 17).ok());
  // From an older state, as after a damaged one.
  const auto resumed = Open(10);
  ASSERT_TRUE(Publish(*resumed, 17).ok());
  EXPECT_THAT(metrics_.Text(), HasSubstr("result=\"present\"} 1"));
  EXPECT_EQ(lines_.back(), "version 117 is published already\n");
}

TEST_F(VersionPublisherTest,
       AVersionOfTheSameWeightsIsItsOwnThoughItsListLacksIt) {
  ASSERT_TRUE(Publish(*Open(), 17).ok());
  std::filesystem::remove(folder_.path() / "published.json");
  // With other options, which the metadata has.
  const std::string before = *weights_;
  weights_ = SerializeSafetensors(ParseSafetensors(before)->tensors,
                                  {{"training_config", "another"}});
  ASSERT_TRUE(Publish(*Open(10), 17).ok());
  EXPECT_THAT(metrics_.Text(), HasSubstr("result=\"present\"} 1"));
  // It is noted, so that it goes when its time has come.
  options_.retention = {.last = 1, .every = 0};
  ASSERT_TRUE(Publish(*Open(17), 27).ok());
  EXPECT_THAT(Versions(), ElementsAre(127));
}

TEST_F(VersionPublisherTest, AVersionThatCannotBeReadIsNotSaidToBeAnothers) {
  ASSERT_TRUE(Publish(*Open(), 17).ok());
  const std::filesystem::path manifest =
      options_.model_root / "tiny" / "117" / "manifest.json";
  std::filesystem::remove(manifest);
  std::filesystem::create_directory(manifest);
  const absl::Status status = Publish(*Open(10), 17);
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_THAT(
      status.message(),
      HasSubstr("117 already exists and its manifest is not a regular"));
}

TEST_F(VersionPublisherTest, AVersionOfItsListIsItsOwnThoughItsWeightsChanged) {
  ASSERT_TRUE(Publish(*Open(), 17).ok());
  weights_->back() ^= 1;  // Rounded otherwise.
  ASSERT_TRUE(Publish(*Open(10), 17).ok());
  EXPECT_THAT(metrics_.Text(), HasSubstr("result=\"present\"} 1"));
  EXPECT_THAT(lines_.back(), HasSubstr("117 is published already, with other"));
}

TEST_F(VersionPublisherTest, AVersionOfAnotherRunIsAnErrorAndStays) {
  ASSERT_TRUE(Publish(*Open(), 17).ok());
  const std::string before =
      ReadCheckpoint(options_.model_root, "tiny", 117)->identity.digest;
  std::filesystem::remove(folder_.path() / "published.json");
  weights_->back() ^= 1;
  const absl::Status status = Publish(*Open(), 17);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
  EXPECT_THAT(status.message(),
              HasSubstr("models/tiny/117 already exists and is "
                        "not of this run: move it away"));
  EXPECT_THAT(metrics_.Text(), HasSubstr("result=\"failed\"} 1"));
  EXPECT_EQ(ReadCheckpoint(options_.model_root, "tiny", 117)->identity.digest,
            before);
}

TEST_F(VersionPublisherTest, ARunThatBeginsDoesNotTakeAnOlderOnesForItsOwn) {
  options_.retention = {.last = 1, .every = 0};
  ASSERT_TRUE(Publish(*Open(), 17).ok());
  const std::string same = *weights_;
  weights_->back() ^= 1;
  // Its states were removed, its list was not.
  const auto next = Open();
  const absl::Status status = Publish(*next, 17);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
  ASSERT_TRUE(Publish(*next, 18).ok());
  EXPECT_THAT(Versions(), ElementsAre(118, 117));
  // One that was killed before its first state makes the same again.
  weights_ = same;
  ASSERT_TRUE(Publish(*Open(), 17).ok());
}

TEST_F(VersionPublisherTest, RemovesWhatItsRetentionLetsGo) {
  options_.retention = {.last = 1, .every = 0};
  const auto publisher = Open();
  for (const int64_t step : {10, 20, 30})
    ASSERT_TRUE(Publish(*publisher, step).ok());
  EXPECT_THAT(Versions(), ElementsAre(130));
}

}  // namespace
}  // namespace ddgan
