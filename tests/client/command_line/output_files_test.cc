#include "client/command_line/output_files.h"

#include <sys/resource.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ddgan {
namespace {

using ::testing::HasSubstr;

TEST(OutputPatternTest, NamesFilesInAFolderByTheirIndex) {
  EXPECT_EQ(OutputPattern("a/", false, 5, "png").value(), "a/%d.png");
  EXPECT_EQ(OutputPattern("a", true, 5, "raw8").value(), "a/%d.raw8");
  EXPECT_EQ(OutputPattern("a/", true, 1, "png").value(), "a/%d.png");
}

TEST(OutputPatternTest, TakesAFileNameForOneImageOrWithAPlaceForTheIndex) {
  EXPECT_EQ(OutputPattern("x.png", false, 1, "png").value(), "x.png");
  EXPECT_EQ(OutputPattern("x-%d", false, 2, "png").value(), "x-%d");
}

TEST(OutputPatternTest, RefusesOneNameForSeveralImages) {
  const absl::Status status = OutputPattern("x.png", false, 2, "png").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("--out=x.png"));
}

TEST(OutputPatternTest, RefusesANameThatSaysAnotherKindOfFile) {
  for (const char* name : {"x.jpg", "a/x.JPEG", "x-%d.webp", "x.raw8"}) {
    const absl::Status status = OutputPattern(name, false, 1, "png").status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << name;
    EXPECT_THAT(std::string(status.message()), HasSubstr(name));
    EXPECT_THAT(std::string(status.message()), HasSubstr("end in .png"));
  }
  EXPECT_FALSE(OutputPattern("x.png", false, 1, "raw8").ok());
  for (const char* name : {"x.png", "x.PNG", "x", "x.1", "x.jpg/y", "-"}) {
    EXPECT_EQ(OutputPattern(name, false, 1, "png").value(), name);
  }
  EXPECT_TRUE(OutputPattern("x.jpg", true, 1, "png").ok());
  EXPECT_TRUE(OutputPattern("x.jpg/", false, 1, "png").ok());
}

TEST(OutputPatternTest, StdoutIsForOneImage) {
  EXPECT_FALSE(OutputPattern("-", false, 2, "png").ok());
}

TEST(OutputPathTest, PutsTheIndexWhereverItIsAskedFor) {
  EXPECT_EQ(OutputPath("a/%d/%d.png", 4294967295),
            "a/4294967295/4294967295.png");
  EXPECT_EQ(OutputPath("x.png", 7), "x.png");
}

TEST(PreviewPathTest, NamesSeedIndexAndStep) {
  EXPECT_EQ(PreviewPath("steps/", 18446744073709551615u, 4294967295, 3, "png"),
            "steps/18446744073709551615-4294967295-step3.png");
  EXPECT_EQ(PreviewPath("a", 7, 0, 1, "raw8"), "a/7-0-step1.raw8");
}

TEST(WriteFileTest, MakesFoldersAndReplacesFiles) {
  const std::filesystem::path folder =
      std::filesystem::path(::testing::TempDir()) / "write_file_test";
  std::filesystem::remove_all(folder);
  const std::string path = folder / "deep" / "x.bin";
  ASSERT_TRUE(WriteFile(path, "longer than the next").ok());
  ASSERT_TRUE(WriteFile(path, std::string("a\0b", 3)).ok());
  std::ifstream file(path, std::ios::binary);
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(file), {}),
            std::string("a\0b", 3));
  std::filesystem::remove_all(folder);
}

TEST(WriteFileTest, LeavesNoPartOfAFile) {
  const std::string path =
      std::filesystem::path(::testing::TempDir()) / "write_file_test_part";
  const auto before = std::signal(SIGXFSZ, SIG_IGN);
  rlimit limit = {};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &limit), 0);
  rlimit full = limit;
  full.rlim_cur = 4096;
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &full), 0);
  const absl::Status status = WriteFile(path, std::string(10'000, 'a'));
  setrlimit(RLIMIT_FSIZE, &limit);
  std::signal(SIGXFSZ, before);
  EXPECT_THAT(status.ToString(), HasSubstr("cannot write " + path));
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(CheckFileWritableTest, KeepsWhatIsThere) {
  const std::filesystem::path folder =
      std::filesystem::path(::testing::TempDir()) / "check_writable_test";
  std::filesystem::remove_all(folder);
  const std::string path = folder / "deep" / "x.json";
  EXPECT_TRUE(CheckFileWritable(path).ok());
  ASSERT_TRUE(WriteFile(path, "a report").ok());
  EXPECT_TRUE(CheckFileWritable(path).ok());
  EXPECT_EQ(std::filesystem::file_size(path), 8u);
  EXPECT_FALSE(CheckFileWritable(folder).ok());
  std::filesystem::remove_all(folder);
}

TEST(WriteFileTest, NamesWhatItCannotWrite) {
  EXPECT_THAT(WriteFile("/dev/full", "bytes").ToString(),
              HasSubstr("cannot write /dev/full"));
  EXPECT_THAT(WriteFile(::testing::TempDir(), "bytes").ToString(),
              HasSubstr("cannot write " + ::testing::TempDir()));
  EXPECT_THAT(WriteFile("/dev/null/x/y", "bytes").ToString(),
              HasSubstr("cannot make the folder /dev/null/x"));
}

}  // namespace
}  // namespace ddgan
