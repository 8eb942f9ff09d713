#include "trainer/run/checkpoint_publisher.h"

#include <sys/stat.h>

#include <algorithm>
#include <string>
#include <thread>
#include <vector>

#include "absl/synchronization/notification.h"
#include "engine/checkpoint/model_directory.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/fakes/temporary_folder.h"
#include "tests/fakes/tiny_checkpoint.h"

namespace ddgan {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

class CheckpointPublisherTest : public ::testing::Test {
 protected:
  absl::StatusOr<ModelIdentity> Publish(int64_t version) {
    return PublishCheckpoint(root(), version, config_, weights_);
  }

  // Below the temporary folder, so that Publish has folders to create.
  fs::path root() const { return temporary_.path() / "a/b"; }

  std::vector<std::string> NamesIn(const fs::path& folder) const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder))
      names.push_back(entry.path().filename().string());
    std::sort(names.begin(), names.end());
    return names;
  }

  const TemporaryFolder temporary_;
  CheckpointConfig config_ = TinyCheckpointConfig();
  std::string weights_ = TinyWeights(TinyModelConfig());
};

TEST_F(CheckpointPublisherTest, PublishesWhatAReaderAccepts) {
  const auto identity = Publish(3);
  ASSERT_TRUE(identity.ok()) << identity.status();
  const auto checkpoint = ReadCheckpoint(root(), "tiny", 3);
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  EXPECT_EQ(checkpoint->identity, *identity);
  EXPECT_TRUE(checkpoint->config == config_);
  EXPECT_EQ(checkpoint->weights, weights_);
  EXPECT_THAT(NamesIn(root() / "tiny"), ElementsAre("3"));
  EXPECT_THAT(NamesIn(root() / "tiny/3"),
              ElementsAre("config.json", "manifest.json", "model.safetensors"));
}

TEST_F(CheckpointPublisherTest, ARootThatIsALinkToNothingIsAnError) {
  fs::create_symlink(temporary_.path() / "gone/away", temporary_.path() / "a");
  const auto identity = Publish(3);
  EXPECT_EQ(identity.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(identity.status().message(), HasSubstr("cannot create"));
}

TEST_F(CheckpointPublisherTest, ReaderOfAnotherUserMayLookIn) {
  ASSERT_TRUE(Publish(1).ok());
  struct stat info;
  ASSERT_EQ(stat((root() / "tiny/1").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0755u);
}

TEST_F(CheckpointPublisherTest, VersionThatIsThereIsLeftAsItIs) {
  ASSERT_TRUE(Publish(3).ok());
  weights_ = TinyWeights(TinyModelConfig(), 0.5f);
  EXPECT_EQ(Publish(3).status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(ReadCheckpoint(root(), "tiny", 3)->weights,
            TinyWeights(TinyModelConfig()));
  EXPECT_THAT(NamesIn(root() / "tiny"), ElementsAre("3"));
}

TEST_F(CheckpointPublisherTest, FolderInTheWayIsLeftAsItIs) {
  fs::create_directories(root() / "tiny/3");
  WriteBytes(root() / "tiny/3/notes.txt", "mine");
  EXPECT_EQ(Publish(3).status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(NamesIn(root() / "tiny/3"), ElementsAre("notes.txt"));
  EXPECT_THAT(NamesIn(root() / "tiny"), ElementsAre("3"));
}

TEST_F(CheckpointPublisherTest, NetworksOfNoServerArePublishedAndRefused) {
  config_.model_config.resblock_type = "toy_mlp";
  ASSERT_TRUE(
      PublishCheckpoint(root(), 1, config_, weights_, Readers::kNoServer).ok());
  const absl::Status status = ReadCheckpoint(root(), "tiny", 1).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("toy_mlp"));
  config_.model = "../escape";
  EXPECT_EQ(PublishCheckpoint(root(), 1, config_, weights_, Readers::kNoServer)
                .status()
                .code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(CheckpointPublisherTest, WhatAServerWouldRefuseIsNotWritten) {
  const auto expect_refused = [&](const std::string& message) {
    const absl::Status status = Publish(1).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), HasSubstr(message));
    EXPECT_FALSE(fs::exists(root()));
  };
  EXPECT_EQ(Publish(0).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_FALSE(fs::exists(root()));
  config_.model = "../escape";
  expect_refused("model = ");
  config_ = TinyCheckpointConfig();
  config_.model_config.fir = false;
  expect_refused("fir = false");
  config_ = TinyCheckpointConfig();
  config_.dataset = "\xff";
  expect_refused("UTF-8");
  config_ = TinyCheckpointConfig();
  config_.model_config.nz = 5;
  expect_refused("z_transform.1.weight has shape [4, 4]");
  config_ = TinyCheckpointConfig();
  weights_.pop_back();
  expect_refused("tensor");
  weights_ = TinyWeights(TinyModelConfig(), 1e30f * 1e30f);
  expect_refused("infinity or NaN");
}

TEST_F(CheckpointPublisherTest, LeftOversOfADeadPublisherAreRemoved) {
  fs::create_directories(root() / "tiny/.publishing-abc123");
  WriteBytes(root() / "tiny/.publishing-abc123/config.json", "{");
  ASSERT_TRUE(Publish(1).ok());
  EXPECT_THAT(NamesIn(root() / "tiny"), ElementsAre("1"));
}

TEST_F(CheckpointPublisherTest, UnwritableRootIsAnErrorAndNothingIsLeft) {
  WriteBytes(temporary_.path() / "a", "a file where a folder should be");
  EXPECT_FALSE(Publish(1).ok());
  EXPECT_THAT(NamesIn(temporary_.path()), ElementsAre("a"));
}

TEST_F(CheckpointPublisherTest, PublishersOfOneModelDoNotDisturbEachOther) {
  constexpr int kPublishers = 8;
  std::vector<std::thread> publishers;
  std::vector<absl::Status> statuses(kPublishers);
  for (int i = 0; i < kPublishers; ++i) {
    // Two for each version: one of them comes second.
    publishers.emplace_back(
        [&, i] { statuses[i] = Publish(1 + i / 2).status(); });
  }
  for (std::thread& publisher : publishers) publisher.join();
  int published = 0;
  for (const absl::Status& status : statuses) {
    published += status.ok();
    EXPECT_TRUE(status.ok() || absl::IsAlreadyExists(status)) << status;
  }
  EXPECT_EQ(published, kPublishers / 2);
  EXPECT_THAT(NamesIn(root() / "tiny"), ElementsAre("1", "2", "3", "4"));
  for (int version = 1; version <= 4; ++version)
    EXPECT_TRUE(ReadCheckpoint(root(), "tiny", version).ok());
}

TEST_F(CheckpointPublisherTest, RemovesAVersionThatItPublished) {
  const auto first = Publish(1);
  ASSERT_TRUE(first.ok() && Publish(2).ok());
  const absl::Status removed = RemoveCheckpoint(root(), *first);
  EXPECT_TRUE(removed.ok()) << removed;
  EXPECT_THAT(NamesIn(root() / "tiny"), ElementsAre("2"));
  EXPECT_TRUE(absl::IsNotFound(RemoveCheckpoint(root(), *first)));
}

TEST_F(CheckpointPublisherTest, RemovesNothingThatIsNotThatVersion) {
  const auto identity = Publish(1);
  ASSERT_TRUE(identity.ok());
  const fs::path version = root() / "tiny/1";
  const auto expect_left = [&](const std::string& why) {
    const absl::Status status = RemoveCheckpoint(root(), *identity);
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(why));
    EXPECT_THAT(NamesIn(root() / "tiny"), ElementsAre("1"));
    EXPECT_TRUE(fs::exists(version / "model.safetensors"));
  };
  WriteBytes(version / "notes.txt", "mine");
  expect_left("notes.txt");
  fs::remove(version / "notes.txt");

  const fs::path elsewhere = temporary_.path() / "elsewhere";
  fs::rename(version, elsewhere);
  fs::create_directory_symlink(elsewhere, version);
  expect_left("symbolic link");
  fs::remove(version);

  // Of another run, under the same number.
  weights_ = TinyWeights(TinyModelConfig(), 0.5f);
  ASSERT_TRUE(Publish(1).ok());
  expect_left("its manifest is not the one");
  fs::remove(version / "manifest.json");
  expect_left("manifest.json");
}

TEST_F(CheckpointPublisherTest, ReaderNeverSeesHalfAVersion) {
  std::thread publisher([&] {
    for (int version = 1; version <= 20; ++version)
      EXPECT_TRUE(Publish(version).ok());
  });
  int64_t newest = 0;
  while (newest < 20) {
    const auto versions = ListVersions(root(), "tiny");
    if (!versions.ok() || versions->empty()) continue;
    newest = versions->front();
    const auto checkpoint = ReadCheckpoint(root(), "tiny", newest);
    EXPECT_TRUE(checkpoint.ok()) << checkpoint.status();
  }
  publisher.join();
}

TEST_F(CheckpointPublisherTest, ReaderFindsAVersionOnItsWayOutWholeOrNotAtAll) {
  std::vector<ModelIdentity> identities;
  for (int version = 1; version <= 20; ++version)
    identities.push_back(*Publish(version));
  auto versions = ListVersions(root(), "tiny");
  ASSERT_TRUE(versions.ok() && !versions->empty());
  absl::Notification one_is_read;
  std::thread remover([&] {
    one_is_read.WaitForNotification();
    for (auto it = identities.rbegin(); it != identities.rend(); ++it)
      EXPECT_TRUE(RemoveCheckpoint(root(), *it).ok());
  });
  while (versions.ok() && !versions->empty()) {
    const absl::Status status =
        ReadCheckpoint(root(), "tiny", versions->front()).status();
    EXPECT_TRUE(status.ok() || absl::IsNotFound(status)) << status;
    if (!one_is_read.HasBeenNotified()) one_is_read.Notify();
    versions = ListVersions(root(), "tiny");
  }
  remover.join();
  EXPECT_THAT(NamesIn(root() / "tiny"), ElementsAre());
}

}  // namespace
}  // namespace ddgan
