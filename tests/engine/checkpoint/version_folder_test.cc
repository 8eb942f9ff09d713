// What needs no files of a version: the rest is in checkpoint_format_test.cc.
#include "engine/checkpoint/version_folder.h"

#include <filesystem>
#include <limits>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/fakes/temporary_folder.h"

namespace ddgan {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
namespace fs = std::filesystem;

TEST(VersionNameTest, IsAPositiveDecimalThatFits) {
  EXPECT_EQ(ParseVersionName("1"), 1);
  EXPECT_EQ(ParseVersionName("9223372036854775807"),
            std::numeric_limits<int64_t>::max());
  for (const char* name : {"", "0", "01", "-1", "+1", "1 ", " 1", "1a", "0x1",
                           "9223372036854775808", "1.0", "\xd9\xa1"})
    EXPECT_FALSE(ParseVersionName(name).has_value()) << name;
}

TEST(ModelNameTest, IsPlain) {
  for (const char* name : {"a", "0", "mnist", "celeba-hq_256.v2"})
    EXPECT_TRUE(IsModelName(name)) << name;
  EXPECT_TRUE(IsModelName(std::string(64, 'a')));
  EXPECT_FALSE(IsModelName(std::string(65, 'a')));
  for (const char* name :
       {"", ".", "..", ".a", "-a", "A", "a/b", "a b", "\xc3"})
    EXPECT_FALSE(IsModelName(name)) << name;
}

TEST(ListModelNamesTest, NamesModelsThatHaveAVersionFolder) {
  const TemporaryFolder root;
  EXPECT_THAT(ListModelNames(root.path()).value(), IsEmpty());
  for (const char* model :
       {"zebra/1", "ant/2", "empty", "Upper/1", ".hidden/1", "other/latest"})
    fs::create_directories(root.path() / model);
  fs::create_directory_symlink("zebra", root.path() / "link");
  WriteBytes(root.path() / "file", "");
  EXPECT_THAT(ListModelNames(root.path()).value(), ElementsAre("ant", "zebra"));
}

}  // namespace
}  // namespace ddgan
