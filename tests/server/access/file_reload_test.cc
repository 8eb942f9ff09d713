#include "server/access/file_reload.h"

#include <sys/stat.h>

#include <filesystem>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/fakes/temporary_folder.h"

namespace ddgan {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Outcome = FileReload::Outcome;

// Takes whatever does not begin with "bad".
class FileReloadTest : public ::testing::Test {
 protected:
  void Write(const char* name, const std::string& text) {
    WriteBytes(folder_.path() / name, text);
  }
  std::string Path(const char* name) const {
    return (folder_.path() / name).string();
  }
  FileReload Watch(std::vector<std::string> paths) {
    return FileReload(std::move(paths), /*max_bytes=*/100,
                      [this](const std::vector<std::string>& contents) {
                        for (const std::string& text : contents) {
                          if (text.rfind("bad", 0) == 0) {
                            return absl::InvalidArgumentError(text);
                          }
                        }
                        taken_ = contents;
                        return absl::OkStatus();
                      });
  }

  const TemporaryFolder folder_;
  std::vector<std::string> taken_;
};

TEST_F(FileReloadTest, TakesNewContentAtOnceAndOnce) {
  Write("a", "1");
  Write("b", "2");
  FileReload files = Watch({Path("a"), Path("b")});
  ASSERT_TRUE(files.Load().ok());
  EXPECT_THAT(taken_, ElementsAre("1", "2"));
  EXPECT_EQ(files.Poll().outcome, Outcome::kUnchanged);
  Write("b", "3");
  EXPECT_EQ(files.Poll().outcome, Outcome::kTaken);
  EXPECT_THAT(taken_, ElementsAre("1", "3"));
  EXPECT_EQ(files.Poll().outcome, Outcome::kUnchanged);
}

TEST_F(FileReloadTest, BadContentIsReportedOnceWhenItStaysAndTheOldIsKept) {
  Write("a", "1");
  FileReload files = Watch({Path("a")});
  ASSERT_TRUE(files.Load().ok());
  Write("a", "bad");
  EXPECT_EQ(files.Poll().outcome, Outcome::kUnchanged);
  const FileReload::Result refused = files.Poll();
  EXPECT_EQ(refused.outcome, Outcome::kRefused);
  EXPECT_THAT(std::string(refused.why.message()), HasSubstr("bad"));
  EXPECT_EQ(files.Poll().outcome, Outcome::kUnchanged);
  EXPECT_THAT(taken_, ElementsAre("1"));

  Write("a", "bad again");
  EXPECT_EQ(files.Poll().outcome, Outcome::kUnchanged);
  EXPECT_EQ(files.Poll().outcome, Outcome::kRefused);

  Write("a", "2");
  EXPECT_EQ(files.Poll().outcome, Outcome::kTaken);
}

TEST_F(FileReloadTest, IsRefusedUntilSomethingGoodIsFound) {
  Write("a", "1");
  FileReload files = Watch({Path("a")});
  ASSERT_TRUE(files.Load().ok());
  Write("a", "bad");
  files.Poll();
  EXPECT_FALSE(files.refused());
  // For as long as it lies there, and while other bad content replaces it.
  for (const char* bad : {"bad", "bad", "bad again", "bad again"}) {
    Write("a", bad);
    files.Poll();
    EXPECT_TRUE(files.refused()) << bad;
  }
  Write("a", "2");
  files.Poll();
  EXPECT_FALSE(files.refused());

  std::filesystem::remove(Path("a"));
  files.Poll();
  files.Poll();
  EXPECT_TRUE(files.refused());
  Write("a", "2");
  files.Poll();
  EXPECT_FALSE(files.refused());
}

TEST_F(FileReloadTest, WhatIsBadForAMomentIsNobodysBusiness) {
  Write("a", "1");
  FileReload files = Watch({Path("a")});
  ASSERT_TRUE(files.Load().ok());
  for (int i = 0; i < 5; ++i) {
    Write("a", "bad " + std::to_string(i));
    EXPECT_EQ(files.Poll().outcome, Outcome::kUnchanged);
  }
  Write("a", "1");
  EXPECT_EQ(files.Poll().outcome, Outcome::kUnchanged);
  // Seen before, but not twice in a row.
  Write("a", "bad 4");
  EXPECT_EQ(files.Poll().outcome, Outcome::kUnchanged);
}

TEST_F(FileReloadTest, AFileThatIsGoneKeepsTheOld) {
  Write("a", "1");
  FileReload files = Watch({Path("a")});
  ASSERT_TRUE(files.Load().ok());
  std::filesystem::remove(Path("a"));
  EXPECT_EQ(files.Poll().outcome, Outcome::kUnchanged);
  const FileReload::Result refused = files.Poll();
  EXPECT_EQ(refused.outcome, Outcome::kRefused);
  EXPECT_THAT(std::string(refused.why.message()), HasSubstr(Path("a")));
  EXPECT_THAT(taken_, ElementsAre("1"));
}

TEST_F(FileReloadTest, FollowsLinksAsKubernetesReplacesThem) {
  for (const char* name : {"v1", "v2"}) {
    std::filesystem::create_directory(folder_.path() / name);
    WriteBytes(folder_.path() / name / "key", name);
  }
  std::filesystem::create_symlink("v1", folder_.path() / "..data");
  std::filesystem::create_symlink("..data/key", folder_.path() / "key");
  FileReload files = Watch({Path("key")});
  ASSERT_TRUE(files.Load().ok());
  std::filesystem::create_symlink("v2", folder_.path() / "..next");
  std::filesystem::rename(folder_.path() / "..next", folder_.path() / "..data");
  EXPECT_EQ(files.Poll().outcome, Outcome::kTaken);
  EXPECT_THAT(taken_, ElementsAre("v2"));
}

TEST_F(FileReloadTest, TheFirstContentMustBeGood) {
  Write("a", "bad");
  FileReload files = Watch({Path("a")});
  EXPECT_TRUE(absl::IsInvalidArgument(files.Load()));
  FileReload missing = Watch({Path("b")});
  EXPECT_TRUE(absl::IsNotFound(missing.Load()));
}

TEST_F(FileReloadTest, ReadsRegularFilesOfItsSizeOnly) {
  Write("large", std::string(101, 'x'));
  EXPECT_THAT(std::string(ReadSmallFile(Path("large"), 100).status().message()),
              HasSubstr("more than 100 bytes"));
  EXPECT_EQ(ReadSmallFile(Path("large"), 101)->size(), 101u);
  ASSERT_EQ(mkfifo(Path("pipe").c_str(), 0600), 0);
  for (const std::string& path : {Path("pipe"), folder_.path().string()}) {
    EXPECT_THAT(std::string(ReadSmallFile(path, 100).status().message()),
                HasSubstr("no regular file"));
  }
}

}  // namespace
}  // namespace ddgan
