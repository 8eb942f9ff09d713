#include "trainer/dataset/encoded/image_archive.h"

#include <filesystem>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/fakes/mutated_bytes.h"
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
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;

class ImageArchiveTest : public ::testing::Test {
 protected:
  absl::StatusOr<OpenedArchive> Open() {
    budget_ = std::make_unique<MemoryBudget>(max_memory_);
    report_ = {};
    return OpenImageArchive(path_,
                            {budget_.get(), &report_, nullptr, is_of_set_});
  }

  // By path; of equal ones the last.
  std::map<std::string, std::string> Contents(const std::string& bytes) {
    WriteBytes(path_, bytes);
    return Contents();
  }
  std::map<std::string, std::string> Contents() {
    const OpenedArchive opened = Open().value();
    std::map<std::string, std::string> contents;
    std::string scratch;
    for (const ImageArchive::Image& image : opened.images) {
      contents[image.path] = opened.archive->Read(image, &scratch).value();
    }
    return contents;
  }

  absl::Status ErrorOf(const std::string& bytes) {
    WriteBytes(path_, bytes);
    const absl::Status status = Open().status();
    EXPECT_THAT(std::string(status.message()), HasSubstr(path_.string()));
    return status;
  }

  const TemporaryFolder folder_;
  const fs::path path_ = folder_.path() / "archive";
  uint64_t max_memory_ = 1 << 20;
  std::function<bool(const std::string&)> is_of_set_;
  std::unique_ptr<MemoryBudget> budget_;
  SetReport report_;
};

TEST_F(ImageArchiveTest, ReadsTarsHoweverTheyArePacked) {
  const std::string tar = TarFile("a.png", "one") + TarFile("x/b.jpe", "two") +
                          TarFile("notes.txt", "no") + TarEnd();
  for (const std::string& bytes : {tar, Gzip(tar), Packed("xz", tar),
                                   Packed("bzip2", tar), Packed("zstd", tar)}) {
    EXPECT_THAT(Contents(bytes),
                ElementsAre(Pair("a.png", "one"), Pair("x/b.jpe", "two")));
    EXPECT_THAT(report_.PassedOver(), ElementsAre(HasSubstr("1 .txt")));
  }
}

TEST_F(ImageArchiveTest, FollowsHardLinks) {
  const std::string tar = TarFile("set/a.png", "one") +
                          TarLink("set/b.png", "set/a.png", '1') +
                          TarLink("./set/c.png", "./set/b.png", '1') +
                          TarLink("d.png", "nowhere.png", '1') +
                          TarLink("labels", "set/a.png", '1') + TarEnd();
  for (const std::string& bytes : {tar, Gzip(tar)}) {
    EXPECT_THAT(Contents(bytes),
                ElementsAre(Pair("set/a.png", "one"), Pair("set/b.png", "one"),
                            Pair("set/c.png", "one")));
    EXPECT_THAT(report_.PassedOver(),
                ElementsAre("passed over 1 link in an archive to no file "
                            "there, or to one that is not kept; the first is "
                            "d.png"));
  }
}

// A hard link has what its target was when it was written.
TEST_F(ImageArchiveTest, HardLinksKeepAFileThatIsReplacedLater) {
  EXPECT_THAT(
      Contents(TarFile("a.png", "old") + TarLink("b.png", "a.png", '1') +
               TarFile("a.png", "new") + TarEnd()),
      ElementsAre(Pair("a.png", "new"), Pair("b.png", "old")));
}

TEST_F(ImageArchiveTest, TakesTheLaterOfALinkAndAnotherMemberOfItsPath) {
  EXPECT_THAT(Contents(TarFile("a.png", "one") + TarFile("b.png", "two") +
                       TarLink("c.png", "a.png", '2') +
                       TarLink("c.png", "b.png", '1') + TarEnd()),
              ElementsAre(Pair("a.png", "one"), Pair("b.png", "two"),
                          Pair("c.png", "two")));
  EXPECT_THAT(Contents(TarFile("a.png", "one") + TarFile("b.png", "two") +
                       TarLink("c.png", "b.png", '2') +
                       TarLink("b.png", "a.png", '2') + TarEnd()),
              ElementsAre(Pair("a.png", "one"), Pair("b.png", "one"),
                          Pair("c.png", "one")));
}

TEST_F(ImageArchiveTest, FollowsSymbolicLinksWithinTheArchive) {
  const std::string tar = TarLink("snap/1.png", "../blobs/x.png", '2') +
                          TarLink("snap/2.png", "1.png", '2') +
                          TarLink("snap/3.png", "/etc/x.png", '2') +
                          TarLink("snap/4.png", "4.png", '2') +
                          TarLink("snap/5.png", "nowhere.png", '2') +
                          TarFile("snap/5.png", "file") +
                          TarFile("blobs/x.png", "one") + TarEnd();
  for (const std::string& bytes : {tar, Gzip(tar)}) {
    EXPECT_THAT(
        Contents(bytes),
        ElementsAre(Pair("blobs/x.png", "one"), Pair("snap/1.png", "one"),
                    Pair("snap/2.png", "one"), Pair("snap/5.png", "file")));
    EXPECT_THAT(report_.PassedOver(),
                ElementsAre(HasSubstr("2 links in archives")));
  }
}

// As download caches name their files. Of a packed archive they are not kept.
TEST_F(ImageArchiveTest, FollowsLinksToFilesOfOtherNamesOnDisk) {
  const std::string tar = TarFile("blobs/b1", "one") +
                          TarLink("a.png", "blobs/b1", '2') +
                          TarLink("b.png", "blobs/b1", '1') + TarEnd();
  EXPECT_THAT(Contents(tar),
              ElementsAre(Pair("a.png", "one"), Pair("b.png", "one")));
  EXPECT_THAT(report_.PassedOver(), IsEmpty());  // It was read.
  EXPECT_THAT(Contents(TarFile("blobs/b2", "two") + tar), SizeIs(2));
  EXPECT_THAT(report_.PassedOver(),
              ElementsAre(AllOf(HasSubstr("1 file that is no picture"),
                                HasSubstr("the first is blobs/b2"))));
  report_ = SetReport();
  EXPECT_THAT(Contents(Gzip(tar)), IsEmpty());
  EXPECT_THAT(report_.PassedOver(),
              ElementsAre(HasSubstr("without an ending"),
                          HasSubstr("2 links in archives")));
}

TEST_F(ImageArchiveTest, TellsOfLinksToFolders) {
  const std::string tar =
      TarFile("set/a.png", "one") + TarFile("readme.txt", "text") +
      TarLink("notes", "readme.txt", '2') +
      TarLink("classes/1", "../set", '2') +
      TarLink("classes/.new", "../set", '2') +
      TarLink("classes/2", "../../elsewhere", '2') + TarEnd();
  for (const std::string& bytes : {tar, Gzip(tar)}) {
    report_ = SetReport();
    EXPECT_THAT(Contents(bytes), ElementsAre(Pair("set/a.png", "one")));
    EXPECT_THAT(report_.PassedOver(),
                ElementsAre(HasSubstr("1 .txt"),
                            AllOf(HasSubstr("2 links in archives"),
                                  HasSubstr("the first is classes/1"))));
  }
}

TEST_F(ImageArchiveTest, ListsAndKeepsOnlyPicturesOfTheSet) {
  const std::string other(5000, 'x');
  const std::string tar =
      TarFile("ship/a.png", "one") + TarFile("horse/b.png", other) +
      TarLink("ship/c.png", "a.png", '2') +
      TarLink("horse/d.png", "../ship/a.png", '2') +
      TarLink("horse/e.png", "ship/a.png", '1') +
      TarLink("ship/f.png", "../horse/b.png", '2') + TarEnd();
  std::vector<std::string> asked;
  is_of_set_ = [&asked](const std::string& path) {
    asked.push_back(path);
    return path.starts_with("ship/");
  };
  // Of a tar on disk links lead to any picture.
  EXPECT_THAT(Contents(tar),
              ElementsAre(Pair("ship/a.png", "one"), Pair("ship/c.png", "one"),
                          Pair("ship/f.png", other)));
  EXPECT_THAT(asked, SizeIs(6));
  EXPECT_THAT(report_.PassedOver(), IsEmpty());
  max_memory_ = 4000;  // Less than the other picture has.
  EXPECT_THAT(Contents(Gzip(tar)), ElementsAre(Pair("ship/a.png", "one"),
                                               Pair("ship/c.png", "one")));
  EXPECT_THAT(report_.PassedOver(),
              ElementsAre(AllOf(HasSubstr("1 link in an archive"),
                                HasSubstr("ship/f.png"))));

  fs::remove(path_);
  WriteZipFile(path_, {{"ship/a.png", "one"}, {"horse/b.png", "two"}});
  EXPECT_THAT(Contents(), ElementsAre(Pair("ship/a.png", "one")));
  EXPECT_THAT(report_.PassedOver(), IsEmpty());
}

TEST_F(ImageArchiveTest, SaysThatATarHasChanged) {
  WriteBytes(path_, TarFile("a.png", "one") + TarEnd());
  const OpenedArchive opened = Open().value();
  fs::resize_file(path_, 512);
  std::string scratch;
  const absl::Status status =
      opened.archive->Read(opened.images[0], &scratch).status();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("has 512 bytes and had 2048"));
}

TEST_F(ImageArchiveTest, ReadsZipsStoredAndDeflated) {
  const std::string large(100'000, 'x');
  WriteZipFile(path_, {{"set/a.png", "one", /*stored=*/true},
                       {"set/b.jfif", large},
                       {"set/", ""},
                       {"set/labels.json", "no"},
                       {"set/._a.png", "no"},
                       {"l.png", "set/a.png", true, /*link=*/true}});
  EXPECT_THAT(Contents(),
              ElementsAre(Pair("set/a.png", "one"), Pair("set/b.jfif", large)));
  EXPECT_THAT(
      report_.PassedOver(),
      ElementsAre(HasSubstr("1 .json"), HasSubstr("1 link in an archive")));
}

TEST_F(ImageArchiveTest, ReadsZipsFromSeveralThreads) {
  std::vector<ZipEntry> entries;
  for (int i = 0; i < 50; ++i) {
    entries.push_back({std::to_string(i) + ".png",
                       std::string(5000, static_cast<char>('a' + i % 26))});
  }
  WriteZipFile(path_, entries);
  const OpenedArchive opened = Open().value();
  ASSERT_EQ(opened.images.size(), entries.size());
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      std::string scratch;
      for (size_t i = 0; i < entries.size(); ++i) {
        EXPECT_EQ(opened.archive->Read(opened.images[i], &scratch).value(),
                  entries[i].content);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_F(ImageArchiveTest, ReportsADamagedEntryOfAZipAndReadsTheOthers) {
  WriteZipFile(path_, {{"a.png", "content", true}, {"b.png", "two", true}});
  std::string bytes = ReadBytes(path_);
  bytes[bytes.find("content")] = 'C';
  WriteBytes(path_, bytes);
  const OpenedArchive opened = Open().value();
  std::string scratch;
  EXPECT_TRUE(absl::IsDataLoss(
      opened.archive->Read(opened.images[0], &scratch).status()));
  EXPECT_EQ(opened.archive->Read(opened.images[1], &scratch).value(), "two");
}

// 65 MiB of zeros are some 65 KB of a zip.
TEST_F(ImageArchiveTest, UnpacksNoEntryThatIsTooLarge) {
  WriteZipFile(path_, {{"a.png", std::string(kMaxEncodedBytes + 1, '\0')}});
  const OpenedArchive opened = Open().value();
  std::string scratch;
  EXPECT_TRUE(absl::IsDataLoss(
      opened.archive->Read(opened.images[0], &scratch).status()));
  EXPECT_TRUE(scratch.empty());
}

TEST_F(ImageArchiveTest, BoundsMemoryBeforeItGrows) {
  max_memory_ = 3000;
  std::string tar;
  std::vector<ZipEntry> entries;
  for (int i = 0; i < 30; ++i) {
    const std::string name = std::to_string(i) + ".png";
    tar += TarFile(name, "x");
    entries.push_back({name, "x"});
  }
  EXPECT_TRUE(absl::IsResourceExhausted(ErrorOf(tar + TarEnd())));
  EXPECT_TRUE(absl::IsResourceExhausted(
      ErrorOf(Gzip(TarFile("a.png", std::string(5000, 'x')) + TarEnd()))));
  std::string links;
  for (int i = 0; i < 100; ++i) links += TarLink("a.png", "b", '2');
  EXPECT_TRUE(absl::IsResourceExhausted(ErrorOf(links + TarEnd())));
  WriteZipFile(path_, entries);
  EXPECT_TRUE(absl::IsResourceExhausted(Open().status()));
}

TEST_F(ImageArchiveTest, RefusesWhatIsNoArchive) {
  EXPECT_TRUE(absl::IsDataLoss(ErrorOf("")));
  EXPECT_TRUE(absl::IsDataLoss(ErrorOf("PK")));
  EXPECT_TRUE(absl::IsDataLoss(ErrorOf("PK\x03\x04 and no more")));
  EXPECT_TRUE(absl::IsDataLoss(ErrorOf(std::string(2000, 'x'))));
  fs::remove(path_);
  EXPECT_TRUE(absl::IsNotFound(Open().status()));
}

TEST_F(ImageArchiveTest, SurvivesDamagedZips) {
  WriteZipFile(path_, {{"a.png", std::string(300, 'a')},
                       {"b.png", "two", true},
                       {"c.png", "three", true, true}});
  const std::string bytes = ReadBytes(path_);
  std::mt19937 random(1);
  int refused = 0;
  for (int i = 0; i < 1000; ++i) {
    WriteBytes(path_, MutatedBytes(bytes, bytes.size(), &random));
    const absl::StatusOr<OpenedArchive> opened = Open();
    std::string scratch;
    bool sound = opened.ok();
    for (size_t k = 0; opened.ok() && k < opened->images.size(); ++k) {
      sound &= opened->archive->Read(opened->images[k], &scratch).ok();
    }
    refused += sound ? 0 : 1;
  }
  EXPECT_GT(refused, 100);
}

}  // namespace
}  // namespace ddgan
