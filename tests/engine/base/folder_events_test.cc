#include "engine/base/folder_events.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <thread>

#include "tests/fakes/temporary_folder.h"

namespace ddgan {
namespace {

namespace fs = std::filesystem;

// Far longer than an event takes, and never waited for in full if all is well.
constexpr absl::Duration kLimit = absl::Minutes(1);

class FolderEventsTest : public ::testing::Test {
 protected:
  bool SomethingChanged() { return events_->Wait(absl::ZeroDuration()); }

  TemporaryFolder folder_;
  std::unique_ptr<FolderEvents> events_ = NewFolderEvents();
};

TEST_F(FolderEventsTest, EveryKindOfChangeInAWatchedFolderIsSeen) {
  const fs::path inner = folder_.path() / "inner";
  ASSERT_EQ(events_->Watch({folder_.path()}), absl::OkStatus());
  EXPECT_FALSE(SomethingChanged());
  fs::create_directory(inner);
  EXPECT_TRUE(events_->Wait(kLimit));
  EXPECT_FALSE(SomethingChanged());

  ASSERT_EQ(events_->Watch({folder_.path(), inner}), absl::OkStatus());
  const fs::path file = inner / "file";
  std::ofstream(file) << "a";
  EXPECT_TRUE(events_->Wait(kLimit));
  std::ofstream(file, std::ios::app) << "b";
  EXPECT_TRUE(events_->Wait(kLimit));
  fs::rename(file, inner / "renamed");
  EXPECT_TRUE(events_->Wait(kLimit));
  fs::remove(inner / "renamed");
  EXPECT_TRUE(events_->Wait(kLimit));
  fs::rename(inner, folder_.path() / "moved");
  EXPECT_TRUE(events_->Wait(kLimit));
  EXPECT_FALSE(SomethingChanged());
}

TEST_F(FolderEventsTest, WhatIsGoneOrNoFolderIsPassedOver) {
  std::ofstream(folder_.path() / "file") << "";
  EXPECT_EQ(events_->Watch({folder_.path() / "absent", folder_.path() / "file",
                            folder_.path()}),
            absl::OkStatus());
  fs::create_directory(folder_.path() / "new");
  EXPECT_TRUE(events_->Wait(kLimit));
}

TEST_F(FolderEventsTest, ALinkIsWatchedWhereThePathSaysSo) {
  const fs::path inner = folder_.path() / "inner",
                 link = folder_.path() / "link";
  fs::create_directory(inner);
  fs::create_directory_symlink(inner, link);
  ASSERT_EQ(events_->Watch({link}), absl::OkStatus());
  std::ofstream(inner / "one") << "";
  EXPECT_FALSE(SomethingChanged());
  ASSERT_EQ(events_->Watch({link / "."}), absl::OkStatus());
  std::ofstream(inner / "two") << "";
  EXPECT_TRUE(events_->Wait(kLimit));
}

TEST_F(FolderEventsTest, WakeEndsAWaitNowOrTheNextOne) {
  events_->Wake();
  EXPECT_TRUE(events_->Wait(kLimit));
  EXPECT_FALSE(SomethingChanged());
  std::thread waker([this] { events_->Wake(); });
  EXPECT_TRUE(events_->Wait(kLimit));
  waker.join();
}

}  // namespace
}  // namespace ddgan
