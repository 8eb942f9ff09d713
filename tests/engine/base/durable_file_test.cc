// Takes the place of fsync in the process.
#include "engine/base/durable_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "tests/fakes/temporary_folder.h"

namespace {

// The paths that are synced, in this order, while a test looks.
std::vector<std::string>* synced = nullptr;

}  // namespace

extern "C" int fsync(int descriptor) {
  if (synced != nullptr) {
    synced->push_back(std::filesystem::read_symlink(
        "/proc/self/fd/" + std::to_string(descriptor)));
  }
  return static_cast<int>(syscall(SYS_fsync, descriptor));
}

namespace ddgan {
namespace {

using ::testing::ElementsAre;

std::string Bytes(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

int Entries(const std::filesystem::path& folder) {
  return static_cast<int>(
      std::distance(std::filesystem::directory_iterator(folder), {}));
}

TEST(WriteFileDurablyTest, ReplacesTheWholeFileAndLeavesNothingBeside) {
  const TemporaryFolder folder;
  const std::filesystem::path path = folder.path() / "state";
  ASSERT_TRUE(WriteFileDurably(path, "a longer first text").ok());
  ASSERT_TRUE(WriteFileDurably(path, "second").ok());
  EXPECT_EQ(Bytes(path), "second");
  EXPECT_EQ(Entries(folder.path()), 1);
}

TEST(WriteFileDurablyTest, SyncsTheFileUnderItsFirstNameAndThenTheFolder) {
  const TemporaryFolder folder;
  // The kernel tells paths without links.
  const std::filesystem::path path = std::filesystem::canonical(folder.path());
  std::vector<std::string> paths;
  synced = &paths;
  const absl::Status status = WriteFileDurably(path / "state", "text");
  synced = nullptr;
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_THAT(paths,
              ElementsAre((path / ".state.partial").string(), path.string()));
}

TEST(WriteFileDurablyTest, GoesOnAfterAWriterThatDied) {
  const TemporaryFolder folder;
  std::ofstream(folder.path() / ".state.partial") << "half";
  ASSERT_TRUE(WriteFileDurably(folder.path() / "state", "whole").ok());
  EXPECT_EQ(Bytes(folder.path() / "state"), "whole");
  EXPECT_EQ(Entries(folder.path()), 1);
}

TEST(WriteFileDurablyTest, NamesAFolderThatIsMissing) {
  const TemporaryFolder folder;
  const absl::Status status =
      WriteFileDurably(folder.path() / "missing" / "state", "text");
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_NE(status.message().find("missing"), std::string::npos);
}

TEST(WriteNewFileTest, OverwritesNothing) {
  const TemporaryFolder folder;
  const std::filesystem::path path = folder.path() / "file";
  ASSERT_TRUE(WriteNewFile(path, "first").ok());
  EXPECT_EQ(WriteNewFile(path, "second").code(),
            absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(Bytes(path), "first");
}

TEST(CheckWritableTest, CreatesTheFolderAndLeavesNothingInIt) {
  const TemporaryFolder folder;
  const std::filesystem::path path = folder.path() / "a" / "b";
  ASSERT_TRUE(CheckWritable(path).ok());
  ASSERT_TRUE(CheckWritable(path).ok());
  EXPECT_EQ(Entries(path), 0);
}

TEST(CheckWritableTest, NamesAFolderThatCannotBe) {
  const TemporaryFolder folder;
  std::ofstream(folder.path() / "file") << "no folder";
  const absl::Status status = CheckWritable(folder.path() / "file" / "out");
  EXPECT_NE(status.message().find("file/out: Not a directory"),
            std::string::npos)
      << status;
  // Every process may look into this folder, and none may write there.
  EXPECT_FALSE(CheckWritable("/proc").ok());
}

}  // namespace
}  // namespace ddgan
