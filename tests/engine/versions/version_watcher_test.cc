#include "engine/versions/version_watcher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <utility>

#include "tests/fakes/manual_clock.h"
#include "tests/fakes/recording_observer.h"
#include "tests/fakes/scripted_folder_events.h"
#include "tests/fakes/scripted_version_source.h"

namespace ddgan {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr absl::Duration kPollInterval = absl::Seconds(5);

TEST(WatchTimeoutTest, IsAtMostAPollAndAtLeastAMoment) {
  const absl::Time now = absl::FromUnixSeconds(1000);
  const auto timeout = [&](absl::Duration again) {
    return WatchTimeout(now, now + again, kPollInterval);
  };
  EXPECT_EQ(timeout(absl::InfiniteDuration()), kPollInterval);
  EXPECT_EQ(timeout(absl::Seconds(2)), absl::Seconds(2));
  EXPECT_EQ(timeout(absl::ZeroDuration()), absl::Milliseconds(10));
  EXPECT_EQ(timeout(-absl::Seconds(9)), absl::Milliseconds(10));
}

class VersionWatcherTest : public ::testing::Test {
 protected:
  VersionWatcherTest() {
    auto source = std::make_unique<ScriptedVersionSource>();
    source_ = source.get();
    loader_ = std::make_unique<VersionLoader>(
        std::move(source),
        [](ServableVersion&, const ServableVersion*) {
          return VersionVerdict();
        },
        &registry_, &observer_, &clock_);
    auto events = std::make_unique<ScriptedFolderEvents>();
    events_ = events.get();
    watcher_ = std::make_unique<VersionWatcher>(
        loader_.get(), std::move(events), kPollInterval, &observer_, &clock_);
  }

  ManualClock clock_;
  RecordingObserver observer_;
  ScriptedVersionSource* source_;
  ModelRegistry registry_{ModelRegistry::Options(), &observer_};
  std::unique_ptr<VersionLoader> loader_;
  ScriptedFolderEvents* events_;
  std::unique_ptr<VersionWatcher> watcher_;
};

TEST_F(VersionWatcherTest, LooksWhenSomethingChangesAndWhenTimeHasPassed) {
  EXPECT_EQ(events_->AwaitTimeout(), kPollInterval);
  source_->Add(MakeServableVersion("digits", 1));
  events_->Change();
  EXPECT_TRUE(registry_.Resolve("digits", 1).ok());
  source_->Add(MakeServableVersion("digits", 2));
  events_->Elapse();
  EXPECT_TRUE(registry_.Resolve("digits", 2).ok());
}

TEST_F(VersionWatcherTest, LooksAgainWhenTheLoaderAsksForIt) {
  source_->AddBroken("digits", 1, absl::UnavailableError("later"));
  events_->Change();
  EXPECT_EQ(events_->AwaitTimeout(), ModelVersions::kFirstRetry);
}

TEST_F(VersionWatcherTest, TellsOfADirectoryThatCannotBeLookedThrough) {
  events_->AwaitTimeout();
  EXPECT_THAT(observer_.events().model_directory, IsEmpty());
  events_->Break(absl::ResourceExhaustedError("no more watches"));
  events_->Change();
  events_->Change();
  events_->Break(absl::OkStatus());
  events_->Change();
  source_->RemoveRoot();
  events_->Change();
  EXPECT_THAT(
      observer_.events().model_directory,
      ElementsAre(absl::ResourceExhaustedError("no more watches"),
                  absl::OkStatus(), absl::NotFoundError("no such folder")));
}

TEST_F(VersionWatcherTest, EndsWhileItWaits) {
  events_->AwaitTimeout();
  watcher_.reset();
}

}  // namespace
}  // namespace ddgan
