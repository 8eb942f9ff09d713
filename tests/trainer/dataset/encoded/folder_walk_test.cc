#include "trainer/dataset/encoded/folder_walk.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/fakes/temporary_folder.h"

namespace ddgan {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class FolderWalkTest : public ::testing::Test {
 protected:
  // The set lies five folders deep, so that some of those above are beyond the
  // reach of its links.
  void Write(const fs::path& path) {
    fs::create_directories(path.parent_path());
    WriteBytes(path, "content");
  }
  void Link(const std::string& target, const fs::path& path) {
    fs::create_directories(path.parent_path());
    fs::create_symlink(target, path);
  }

  FolderFiles Walk() {
    MemoryBudget budget(1 << 20);
    report_ = {};
    return WalkFolder(set_, &budget, &report_).value();
  }

  const TemporaryFolder folder_;
  const fs::path top_ = folder_.path() / "far" / "reach";
  const fs::path set_ = top_ / "b" / "c" / "set";
  SetReport report_;
};

TEST_F(FolderWalkTest, FollowsLinksToFilesWithinTheThirdFolderAbove) {
  Write(set_ / "real" / "a.png");
  Write(top_ / "blobs" / "no_ending");
  Write(folder_.path() / "far" / "beyond.png");
  Link("real/a.png", set_ / "1.png");
  Link("../../../blobs/no_ending", set_ / "2.png");
  Link("../../../../beyond.png", set_ / "3.png");
  Link("nowhere.png", set_ / "4.png");
  Link("5.png", set_ / "5.png");
  Link("nowhere", set_ / "class");  // It may have been a folder.
  Link("2.png", set_ / "6.png");    // To a link.
  Link("real/a.png", set_ / "7.txt");
  EXPECT_THAT(Walk().pictures,
              ElementsAre("1.png", "2.png", "6.png", "real/a.png"));
  EXPECT_THAT(report_.PassedOver(),
              ElementsAre(HasSubstr("1 .txt"),
                          HasSubstr("1 link that leads further than links are "
                                    "followed, which is within the third "
                                    "folder above the set; the first is 3.png"),
                          HasSubstr("3 links that lead nowhere")));
}

// As a download cache is when it is the set itself.
TEST_F(FolderWalkTest, DoesNotPassOverWhatItReadsByALink) {
  Write(set_ / "blobs" / "b1");
  Write(set_ / "blobs" / "b2");
  Link("../blobs/b1", set_ / "snap" / "1.png");
  EXPECT_THAT(Walk().pictures, ElementsAre("snap/1.png"));
  EXPECT_THAT(report_.PassedOver(),
              ElementsAre(AllOf(HasSubstr("1 file that is no picture"),
                                HasSubstr("the first is blobs/b2"))));
}

TEST_F(FolderWalkTest, EntersLinkedFoldersOnceAndNoneThatHoldsTheSet) {
  Write(set_ / "z_real" / "a.png");
  Write(top_ / "b" / "classes" / "cat" / "1.png");
  Write(top_ / "b" / "classes" / "dog" / "2.png");
  Link("../cat", top_ / "b" / "classes" / "dog" / "again");
  Link("..", top_ / "b" / "classes" / "dog" / "loop");
  Link("z_real", set_ / "a_link");  // Sorts before what it leads to.
  Link("../../classes/cat", set_ / "cat");
  Link("../../classes/dog", set_ / "dog");
  Link("..", set_ / "up");
  Link("../../../..", set_ / "far_up");
  EXPECT_THAT(Walk().pictures,
              ElementsAre("cat/1.png", "dog/2.png", "z_real/a.png"));
  EXPECT_THAT(report_.PassedOver(),
              ElementsAre(HasSubstr("6 links to folders that are read")));
}

TEST_F(FolderWalkTest, NeverTakesTheRootOfTheFileSystemForTheReach) {
  Write(set_ / "a.png");
  Link("/etc", set_ / "etc");
  Link("/etc/passwd", set_ / "name.png");
  EXPECT_THAT(Walk().pictures, ElementsAre("a.png"));
  EXPECT_THAT(report_.PassedOver(), ElementsAre(HasSubstr("2 links")));
}

TEST_F(FolderWalkTest, TakesTheSetThroughALink) {
  Write(top_ / "b" / "really" / "a.png");
  Write(top_ / "b" / "beside.png");
  Link("../really", set_);
  Link("../beside.png", top_ / "b" / "really" / "b.png");
  EXPECT_THAT(Walk().pictures, ElementsAre("a.png", "b.png"));
}

TEST_F(FolderWalkTest, PassesOverFoldersThatMayNotBeRead) {
  constexpr uid_t kNobody = 65534;
  Write(set_ / "a.png");
  Write(set_ / "lost+found" / "b.png");
  Write(set_ / "zoo" / "c.png");
  fs::permissions(set_ / "lost+found", fs::perms::none);
  // Root may read everything.
  if (geteuid() == 0) {
    fs::permissions(folder_.path(), fs::perms::all);
    ASSERT_EQ(seteuid(kNobody), 0);
  }
  const FolderFiles files = Walk();
  MemoryBudget budget(1 << 20);
  SetReport ignored;
  const absl::Status forbidden =
      WalkFolder(set_ / "lost+found", &budget, &ignored).status();
  if (getuid() == 0) {
    ASSERT_EQ(seteuid(0), 0);
  }
  fs::permissions(set_ / "lost+found", fs::perms::all);
  EXPECT_THAT(files.pictures, ElementsAre("a.png", "zoo/c.png"));
  EXPECT_THAT(report_.PassedOver(),
              ElementsAre("passed over 1 folder that may not be read; the "
                          "first is lost+found/"));
  EXPECT_TRUE(absl::IsPermissionDenied(forbidden)) << forbidden;
}

TEST_F(FolderWalkTest, CountsWhatIsNoPicture) {
  Write(set_ / "a.png");
  Write(set_ / "b.bmp");
  Write(set_ / "notes.txt");
  Write(set_ / ".hidden" / "a.png");
  Write(set_ / "._a.png");
  Write(set_ / "shard.tar");
  fs::create_directories(set_ / "folder.png");
  ASSERT_EQ(mkfifo((set_ / "pipe.png").c_str(), 0600), 0);
  const FolderFiles files = Walk();
  EXPECT_THAT(files.pictures, ElementsAre("a.png"));
  EXPECT_THAT(files.archives, ElementsAre("shard.tar"));
  EXPECT_THAT(report_.PassedOver(),
              ElementsAre(HasSubstr("1 .bmp"), HasSubstr("1 .txt"),
                          HasSubstr("1 pipe or device")));
}

TEST_F(FolderWalkTest, BoundsMemory) {
  Write(set_ / "a.png");
  MemoryBudget budget(10);
  const absl::Status status = WalkFolder(set_, &budget, &report_).status();
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("need more than the 10 bytes"));
}

}  // namespace
}  // namespace ddgan
