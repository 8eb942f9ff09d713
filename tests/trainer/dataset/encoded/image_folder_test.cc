#include "trainer/dataset/encoded/image_folder.h"

#include <sys/stat.h>

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/fakes/temporary_folder.h"
#include "tests/trainer/dataset/idx_file.h"
#include "tests/trainer/dataset/packed_file.h"
#include "tests/trainer/dataset/tar_file.h"
#include "trainer/dataset/encoded/image_decoder.h"

namespace ddgan {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

// The contents, in order: nothing is decoded here.
std::vector<std::string> Contents(const EncodedImages& images) {
  std::vector<std::string> contents;
  std::string scratch;
  for (size_t i = 0; i < images.size(); ++i) {
    contents.emplace_back(images.Read(i, &scratch).value());
  }
  return contents;
}

class ImageFolderTest : public ::testing::Test {
 protected:
  void Write(const std::string& name, const std::string& content) {
    fs::create_directories((set_ / name).parent_path());
    WriteBytes(set_ / name, content);
  }

  void ExpectError(const fs::path& path, absl::StatusCode code,
                   const std::string& reason) {
    const absl::Status status = OpenImageFolder(path).status();
    EXPECT_EQ(status.code(), code) << status;
    EXPECT_THAT(std::string(status.message()),
                AllOf(HasSubstr(path.string()), HasSubstr(reason)));
  }

  const TemporaryFolder folder_;
  const fs::path set_ = folder_.path() / "set";
  const fs::path tar_ = folder_.path() / "set.tar";
};

TEST_F(ImageFolderTest, OrdersByPathAsBytes) {
  Write("b/1.png", "4");
  Write("b.png", "3");
  Write("B.jpg", "1");
  Write("a/z.jpeg", "2");
  Write("\xff.png", "6");
  Write("b/c/1.png", "5");
  EXPECT_THAT(Contents(*OpenImageFolder(set_).value()),
              ElementsAre("1", "2", "3", "4", "5", "6"));
}

TEST_F(ImageFolderTest, OfSomeClassesTakesThePicturesInTheirFolders) {
  Write("train/ship/2.png", "2");
  Write("train/ship/1.png", "1");
  Write("train/ship/small/1.png", "of the class small");
  Write("train/horse/ship.png", "no ship by its folder");
  Write("more/ship/3.png", "3");
  Write("horse.png", "no");
  std::vector<std::string> lines;
  ImageFolderOptions options;
  options.classes = {"ship"};
  options.print = [&](const std::string& line) { lines.push_back(line); };
  EXPECT_THAT(Contents(*OpenImageFolder(set_, options).value()),
              ElementsAre("3", "1", "2"));
  EXPECT_THAT(lines, ElementsAre(set_.string() + ": 3 pictures: 3 .png",
                                 AllOf(HasSubstr("3 pictures of other classes"),
                                       HasSubstr("horse.png"))));

  // The same of an archive.
  WriteBytes(tar_, TarFile("train/ship/1.png", "1") +
                       TarFile("train/horse/1.png", "no") +
                       TarFile("train/frog/1.png", "0") + TarEnd());
  options.classes = {"ship", "frog"};
  EXPECT_THAT(Contents(*OpenImageFolder(tar_, options).value()),
              ElementsAre("0", "1"));
}

TEST_F(ImageFolderTest, AClassWithoutAPictureIsAnError) {
  Write("ship/1.png", "1");
  Write("horse/1.png", "2");
  ImageFolderOptions options;
  options.classes = {"ship", "shp"};
  const absl::Status status = OpenImageFolder(set_, options).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(),
            set_.string() +
                ": no picture lies in a folder called 'shp', but in 'horse'; "
                "passed over 1 picture of another class; the first is "
                "horse/1.png");
}

TEST_F(ImageFolderTest, AClassOfPicturesThatAreNotReadSaysSo) {
  Write("ship/1.bmp", "1");
  Write("1.png", "2");
  ImageFolderOptions options;
  options.classes = {"ship"};
  const absl::Status status = OpenImageFolder(set_, options).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("called 'ship', but in no folder; "),
                    HasSubstr("not read (convert it to PNG): 1 .bmp; the first "
                              "is ship/1.bmp")));
}

TEST_F(ImageFolderTest, AClassOfDeadLinksIsMissing) {
  WriteBytes(tar_, TarFile("horse/1.png", "1") +
                       TarLink("ship/1.png", "nowhere.png", '2') + TarEnd());
  ImageFolderOptions options;
  options.classes = {"horse", "ship"};
  EXPECT_THAT(std::string(OpenImageFolder(tar_, options).status().message()),
              HasSubstr("no picture lies in a folder called 'ship'"));
}

TEST_F(ImageFolderTest, AnArchivesNameIsNoClass) {
  Write("ship.tar", TarFile("1.png", "1") + TarEnd());
  Write("more.tar", TarFile("ship/2.png", "2") + TarEnd());
  ImageFolderOptions options;
  options.classes = {"ship"};
  EXPECT_THAT(Contents(*OpenImageFolder(set_, options).value()),
              ElementsAre("2"));
  fs::remove(set_ / "more.tar");
  EXPECT_THAT(std::string(OpenImageFolder(set_, options).status().message()),
              HasSubstr("called 'ship', but in no folder"));
}

TEST_F(ImageFolderTest, PicturesOfOtherClassesTakeNoMemory) {
  WriteBytes(tar_, Gzip(TarFile("horse/1.png", std::string(20'000, 'x')) +
                        TarFile("ship/1.png", "1") + TarEnd()));
  ImageFolderOptions options;
  options.max_memory_bytes = 10'000;
  EXPECT_TRUE(
      absl::IsResourceExhausted(OpenImageFolder(tar_, options).status()));
  options.classes = {"ship"};
  std::vector<std::string> lines;
  options.print = [&](const std::string& line) { lines.push_back(line); };
  EXPECT_THAT(Contents(*OpenImageFolder(tar_, options).value()),
              ElementsAre("1"));
  EXPECT_THAT(lines, ElementsAre(HasSubstr("1 picture: 1 .png"),
                                 HasSubstr("1 picture of another class")));
}

TEST_F(ImageFolderTest, SaysWhatItFoundAndWhatItPassesOver) {
  Write("a.png", "1");
  Write("b.jpg", "2");
  Write("c.bmp", "no");
  Write("set.tar.gz", "no");
  fs::create_symlink("nowhere", set_ / "d.png");
  std::vector<std::string> lines;
  ImageFolderOptions options;
  options.print = [&](const std::string& line) { lines.push_back(line); };
  EXPECT_THAT(Contents(*OpenImageFolder(set_, options).value()),
              ElementsAre("1", "2"));
  const std::string set = set_.string();
  EXPECT_THAT(
      lines,
      ElementsAre(
          set + ": 2 pictures: 1 .jpg, 1 .png",
          HasSubstr("1 picture of a format that is not read (convert it to "
                    "PNG): 1 .bmp; the first is c.bmp"),
          set + ": passed over 1 archive among pictures; the first is "
                "set.tar.gz",
          set + ": passed over 1 link that leads nowhere; the first is d.png"));
}

TEST_F(ImageFolderTest, FollowsLinksWithinReach) {
  Write("1.png", "inside");
  WriteBytes(folder_.path() / "outside", "outside");
  fs::create_symlink("../outside", set_ / "2.png");
  const auto images = OpenImageFolder(set_).value();
  EXPECT_THAT(Contents(*images), ElementsAre("inside", "outside"));
  EXPECT_EQ(images->Name(1), set_.string() + "/2.png");
}

TEST_F(ImageFolderTest, ReadsAFolderOfArchives) {
  const std::string first = TarFile("b.png", "2") + TarFile("a.png", "1") +
                            TarFile("a.txt", "label") + TarEnd();
  Write("part/2.tar", first);
  Write("part/3.tar.xz", Packed("xz", TarFile("a.png", "3") + TarEnd()));
  Write("notes.txt", "no");
  WriteZipFile(set_ / "part" / "4.zip", {{"x/a.png", "4"}});
  std::vector<std::string> lines;
  std::vector<int64_t> progress;
  ImageFolderOptions options;
  options.print = [&](const std::string& line) { lines.push_back(line); };
  options.progress = [&](const ArchiveProgress& now) {
    progress.push_back(now.images);
  };
  const auto images = OpenImageFolder(set_, options).value();
  EXPECT_THAT(Contents(*images), ElementsAre("1", "2", "3", "4"));
  EXPECT_EQ(images->Name(3), set_.string() + "/part/4.zip/x/a.png");
  EXPECT_THAT(lines, ElementsAre(HasSubstr("4 pictures: 4 .png"),
                                 HasSubstr("2 files that are no pictures")));
  EXPECT_THAT(progress, ElementsAre(4));
}

TEST_F(ImageFolderTest, NamesTheArchiveOfAFolderThatIsDamaged) {
  Write("1.tar", TarFile("a.png", "1") + TarEnd());
  Write("2.tar", "damaged");
  ExpectError(set_, absl::StatusCode::kDataLoss, "2.tar");
}

TEST_F(ImageFolderTest, SaysWhatIsMissing) {
  using absl::StatusCode;
  ExpectError(folder_.path() / "nowhere", StatusCode::kNotFound,
              "nothing is there; wanted a folder of pictures (.png, .jpg, ");
  fs::create_directories(set_);
  ExpectError(set_, StatusCode::kNotFound, "holds no picture, which are .png,");
  WriteBytes(tar_, TarFile("a.gif", "no") + TarEnd());
  ExpectError(tar_, StatusCode::kNotFound,
              "holds no picture, which are .png, .jpg, .jpeg, .jpe, .jfif, "
              ".webp; passed over 1 picture of a format that is not read");
  WriteBytes(tar_, std::string(2000, 'x'));
  ExpectError(tar_, StatusCode::kDataLoss, "not a tar archive");
  ASSERT_EQ(mkfifo((folder_.path() / "pipe").c_str(), 0600), 0);
  ExpectError(folder_.path() / "pipe", StatusCode::kInvalidArgument,
              "neither a folder nor a file");
}

TEST_F(ImageFolderTest, BoundsTheDepthOfFolders) {
  std::string name;
  for (int i = 0; i < 70; ++i) name += "d/";
  Write(name + "a.png", "deep");
  ExpectError(set_, absl::StatusCode::kResourceExhausted, "deeper than 64");
}

TEST_F(ImageFolderTest, ReportsAFileThatVanishes) {
  Write("a.png", "one");
  const auto images = OpenImageFolder(set_).value();
  fs::remove(set_ / "a.png");
  std::string scratch;
  EXPECT_TRUE(absl::IsNotFound(images->Read(0, &scratch).status()));
}

TEST_F(ImageFolderTest, CallsFilesThatAreTooLargeDamaged) {
  Write("a.png", "");
  fs::resize_file(set_ / "a.png", kMaxEncodedBytes + 1);  // A hole.
  const auto images = OpenImageFolder(set_).value();
  std::string scratch;
  EXPECT_TRUE(absl::IsDataLoss(images->Read(0, &scratch).status()));
}

TEST_F(ImageFolderTest, ReadsArchivesInTheOrderOfTheFolder) {
  Write("b/1.png", "2");
  Write("b.png", "1");
  Write("c.png", "3");
  const auto folder = OpenImageFolder(set_).value();
  const std::string bytes =
      TarFile("./c.png", "3") + TarHeader("./b/", 0, '5') +
      TarFile("./b/1.png", "2") + TarFile("./._b.png", "no") +
      TarFile("./b.png", "1") + TarEnd();
  for (const std::string& archive : {bytes, Gzip(bytes)}) {
    WriteBytes(tar_, archive);
    const auto images = OpenImageFolder(tar_).value();
    EXPECT_EQ(Contents(*images), Contents(*folder));
    EXPECT_EQ(images->Name(1), tar_.string() + "/b/1.png");
  }
}

TEST_F(ImageFolderTest, TakesTheLastOfMembersOfOnePath) {
  WriteBytes(tar_, TarFile("a.png", "old") + TarFile("b.png", "b") +
                       TarFile("a.png", "older") + TarFile("./a.png", "new") +
                       TarEnd());
  EXPECT_THAT(Contents(*OpenImageFolder(tar_).value()),
              ElementsAre("new", "b"));
}

// Names lead nowhere: nothing is opened by them.
TEST_F(ImageFolderTest, ReadsMembersWhosePathsLeadElsewhere) {
  WriteBytes(tar_, TarFile("../../etc/a.png", "1") +
                       TarFile("/abs/b.png", "2") +
                       TarFile("x\n\x1b[2J.png", "3") + TarEnd());
  const auto images = OpenImageFolder(tar_).value();
  EXPECT_THAT(Contents(*images), ElementsAre("1", "2", "3"));
  EXPECT_THAT(images->Name(2),
              AllOf(HasSubstr("x\\n\\033[2J.png"), Not(HasSubstr("\x1b"))));
}

TEST_F(ImageFolderTest, BoundsMemory) {
  std::string bytes;
  for (int i = 0; i < 20; ++i) {
    bytes += TarFile(std::to_string(i) + ".png", std::string(1000, 'x'));
  }
  ImageFolderOptions options;
  options.max_memory_bytes = 10'000;
  WriteBytes(tar_, bytes + TarEnd());
  EXPECT_TRUE(OpenImageFolder(tar_, options).ok());
  WriteBytes(tar_, Gzip(bytes + TarEnd()));
  const absl::Status status = OpenImageFolder(tar_, options).status();
  EXPECT_TRUE(absl::IsResourceExhausted(status));
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("need more than the 10000 bytes"));
}

// 64 MiB of zeros are some 64 KB of gzip data.
TEST_F(ImageFolderTest, KeepsNoImageThatIsTooLarge) {
  WriteBytes(tar_, Gzip(TarFile("a.png", std::string(kMaxEncodedBytes + 1, 0)) +
                        TarFile("b.png", "b") + TarEnd()));
  ImageFolderOptions options;
  options.max_memory_bytes = 10'000;
  const auto images = OpenImageFolder(tar_, options).value();
  std::string scratch;
  EXPECT_TRUE(absl::IsDataLoss(images->Read(0, &scratch).status()));
  EXPECT_EQ(images->Read(1, &scratch).value(), "b");
}

TEST_F(ImageFolderTest, ReportsProgress) {
  std::string bytes;
  for (int i = 0; i < 20'001; ++i) {
    bytes += TarFile(std::to_string(i) + ".png", "x");
  }
  WriteBytes(tar_, Gzip(bytes + TarEnd()));
  std::vector<int64_t> images;
  ImageFolderOptions options;
  options.progress = [&](const ArchiveProgress& progress) {
    images.push_back(progress.images);
    EXPECT_GT(progress.memory_bytes, 0u);
  };
  EXPECT_TRUE(OpenImageFolder(tar_, options).ok());
  EXPECT_THAT(images, ElementsAre(10'000, 20'000, 20'001));
}

}  // namespace
}  // namespace ddgan
