#include "trainer/dataset/encoded/set_report.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ddgan {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

using Reason = SetReport::Reason;

TEST(SetReportTest, KnowsPicturesByTheirEndingsInAnyCase) {
  for (const char* path :
       {"a.png", "a.JPG", "x/y/a.Jpeg", "./a.png", "../a.png", "/abs/a.png",
        "a..png", "ü.png", "a.jpe", "a.jfif", "a.WebP"}) {
    EXPECT_TRUE(IsImagePath(path)) << path;
  }
  for (const char* path : {"", "a", "png", "a.gif", "a.bmp", "a.png.txt",
                           ".a.png", "x/._a.png", ".x/a.png", "a.png/"}) {
    EXPECT_FALSE(IsImagePath(path)) << path;
  }
}

TEST(SetReportTest, KnowsArchivesByTheirEndings) {
  for (const char* path : {"a.tar", "x/a.TAR.gz", "a.tgz", "a.tar.xz",
                           "a.tar.zst", "a.tar.bz2", "a.zip"}) {
    EXPECT_TRUE(IsArchivePath(path)) << path;
  }
  for (const char* path : {"tar", "a.gz", "a.xz", ".tar", ".x/a.tar"}) {
    EXPECT_FALSE(IsArchivePath(path)) << path;
  }
}

TEST(SetReportTest, CountsPicturesByEnding) {
  SetReport report;
  EXPECT_EQ(report.Found(), "0 pictures");
  report.Count("a.png");
  EXPECT_EQ(report.Found(), "1 picture: 1 .png");
  report.Count("b.JPG");
  report.Count("c/d.jpg");
  EXPECT_EQ(report.Found(), "3 pictures: 2 .jpg, 1 .png");
  EXPECT_THAT(report.PassedOver(), IsEmpty());
}

TEST(SetReportTest, SaysOnceForEachReasonHowManyAndTheFirst) {
  SetReport report;
  PassOverFile("a.bmp", &report);
  PassOverFile("b.gif", &report);
  PassOverFile("c.bmp", &report);
  PassOverFile("x/labels.json", &report);
  PassOverFile(".hidden.json", &report);
  report.PassOver(Reason::kLinkOutside, "l\n.png");
  EXPECT_THAT(
      report.PassedOver(),
      ElementsAre(
          "passed over 3 pictures of formats that are not read (convert them "
          "to PNG): 2 .bmp, 1 .gif; the first is a.bmp",
          "passed over 1 file that is no picture by its name: 1 .json; the "
          "first is x/labels.json",
          AllOf(HasSubstr("1 link that leads further"), HasSubstr("l\\n.png"),
                Not(HasSubstr("\n")))));
}

// A file of each name may have an ending of its own.
TEST(SetReportTest, TellsOnlySomeEndingsApart) {
  SetReport report;
  for (int i = 0; i < 1000; ++i) {
    PassOverFile("a." + std::to_string(i), &report);
  }
  const std::string line = report.PassedOver().at(0);
  EXPECT_THAT(line, HasSubstr("988 others"));
  EXPECT_LT(line.size(), 300u);
}

}  // namespace
}  // namespace ddgan
