#include "engine/base/folder.h"

#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/fakes/temporary_folder.h"

namespace ddgan {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

class FolderTest : public ::testing::Test {
 protected:
  Folder Open() { return Folder::Open(temporary_.path()).value(); }

  const TemporaryFolder temporary_;
};

TEST_F(FolderTest, ReadsAFileWhole) {
  const std::string bytes("a\0b", 3);
  WriteBytes(temporary_.path() / "file", bytes);
  const Folder folder = Open();
  EXPECT_EQ(folder.ReadFile("file", 3).value(), bytes);
  EXPECT_EQ(folder.FileSize("file").value(), 3u);
}

TEST_F(FolderTest, FileOverTheLimitIsRefusedUnread) {
  WriteBytes(temporary_.path() / "file", "");
  // Sparse: reading it would take a while and 1 TB.
  fs::resize_file(temporary_.path() / "file", uintmax_t{1} << 40);
  const auto bytes = Open().ReadFile("file", 1000);
  EXPECT_EQ(bytes.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(bytes.status().message()), HasSubstr("at most 1000"));
}

TEST_F(FolderTest, SymbolicLinksAreNotFollowed) {
  fs::create_directory(temporary_.path() / "real");
  WriteBytes(temporary_.path() / "real/file", "x");
  fs::create_directory_symlink("real", temporary_.path() / "link");
  fs::create_symlink("real/file", temporary_.path() / "file_link");
  const Folder folder = Open();
  for (const absl::Status& status : {folder.OpenFolder("link").status(),
                                     folder.ReadFile("file_link", 10).status(),
                                     folder.FileSize("file_link").status()}) {
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), HasSubstr("symbolic link"));
  }
  EXPECT_TRUE(folder.OpenFolder("real").ok());
}

TEST_F(FolderTest, NameMustBeOneComponent) {
  fs::create_directory(temporary_.path() / "sub");
  WriteBytes(temporary_.path() / "sub/file", "x");
  const Folder folder = Open();
  for (const char* name : {"", ".", "..", "sub/file", "/etc/passwd"}) {
    EXPECT_EQ(folder.ReadFile(name, 10).status().code(),
              absl::StatusCode::kInvalidArgument)
        << name;
    EXPECT_EQ(folder.OpenFolder(name).status().code(),
              absl::StatusCode::kInvalidArgument)
        << name;
  }
}

TEST_F(FolderTest, WhatIsNoRegularFileIsRefusedWithoutWaiting) {
  fs::create_directory(temporary_.path() / "sub");
  ASSERT_EQ(mkfifo((temporary_.path() / "fifo").c_str(), 0600), 0);
  const Folder folder = Open();
  EXPECT_EQ(folder.ReadFile("fifo", 10).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(folder.ReadFile("sub", 10).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(folder.OpenFolder("fifo").status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(FolderTest, WhatIsNotThereIsNotFound) {
  const Folder folder = Open();
  EXPECT_EQ(folder.ReadFile("none", 10).status().code(),
            absl::StatusCode::kNotFound);
  EXPECT_EQ(folder.OpenFolder("none").status().code(),
            absl::StatusCode::kNotFound);
  EXPECT_EQ(Folder::Open(temporary_.path() / "none").status().code(),
            absl::StatusCode::kNotFound);
}

TEST_F(FolderTest, StaysTheSameFolderWhenItIsRenamed) {
  fs::create_directory(temporary_.path() / "a");
  WriteBytes(temporary_.path() / "a/file", "old");
  const Folder folder = Open().OpenFolder("a").value();
  fs::rename(temporary_.path() / "a", temporary_.path() / "b");
  fs::create_directory(temporary_.path() / "a");
  WriteBytes(temporary_.path() / "a/file", "new");
  EXPECT_EQ(folder.ReadFile("file", 10).value(), "old");
}

}  // namespace
}  // namespace ddgan
