#include "engine/checkpoint/stray_versions.h"

#include <filesystem>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/fakes/temporary_folder.h"

namespace ddgan {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class StrayVersionsTest : public ::testing::Test {
 protected:
  // A folder with a manifest below the root.
  void AddVersion(const std::string& name) {
    fs::create_directories(root_ / name);
    WriteBytes(root_ / name / "manifest.json", "");
  }

  const TemporaryFolder folder_;
  const fs::path root_ = folder_.path() / "models";
};

TEST_F(StrayVersionsTest, SaysNothingOfWhatIsInItsPlaceOrNoVersion) {
  AddVersion("faces/1");
  AddVersion("faces/12062");
  fs::create_directories(root_ / "faces" / "notes");
  fs::create_directories(root_ / "empty");
  AddVersion(".training-faces/v1");
  AddVersion("faces/.12063.partial");
  WriteBytes(root_ / "file", "");
  EXPECT_THAT(DescribeStrayVersions(root_), IsEmpty());
  EXPECT_THAT(DescribeStrayVersions(root_ / "nowhere"), IsEmpty());
}

TEST_F(StrayVersionsTest, NamesTheNumberThatANameMayHaveMeant) {
  AddVersion("faces/v12062");
  AddVersion("faces/0012061");
  AddVersion("faces/latest\n");
  EXPECT_THAT(
      DescribeStrayVersions(root_),
      ElementsAre(
          "\"0012061\" in \"faces\" is not taken for a version, since a "
          "version's name is its number, without zeros before it; was 12061 "
          "meant?",
          "\"latest\\n\" in \"faces\" is not taken for a version, since a "
          "version's name is its number, without zeros before it",
          HasSubstr("\"v12062\" in \"faces\"")));
}

TEST_F(StrayVersionsTest, KnowsARootThatIsAModelsOrAVersionsFolder) {
  AddVersion("faces/12062");
  AddVersion("faces/12063");
  EXPECT_THAT(DescribeStrayVersions(root_ / "faces"),
              ElementsAre("the model root has version 12062 in it, as a "
                          "model's folder has; the root is the folder above, "
                          "\"" +
                          root_.string() + "\""));
  EXPECT_THAT(DescribeStrayVersions(root_ / "faces" / "12062"),
              ElementsAre(HasSubstr("is itself a version's folder")));
}

TEST_F(StrayVersionsTest, KnowsModelsThatAreNone) {
  AddVersion("Faces/1");
  AddVersion("loose");
  AddVersion("real/1");
  fs::create_directory_symlink("real", root_ / "linked");
  EXPECT_THAT(DescribeStrayVersions(root_),
              ElementsAre(HasSubstr("\"Faces\" is not taken for a model: a "
                                    "model's name is"),
                          HasSubstr("since it is a symbolic link"),
                          HasSubstr("\"loose\" holds the files of a version")));
}

TEST_F(StrayVersionsTest, DescribesOnlySome) {
  for (int i = 0; i < 100; ++i) AddVersion("faces/v" + std::to_string(i + 1));
  const auto strays = DescribeStrayVersions(root_);
  EXPECT_THAT(strays, SizeIs(kMaxStrays + 1));
  EXPECT_EQ(strays.back(), "and there are more such folders");
}

}  // namespace
}  // namespace ddgan
