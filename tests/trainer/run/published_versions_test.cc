#include "trainer/run/published_versions.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/fakes/temporary_folder.h"

namespace ddgan {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class PublishedVersionsTest : public ::testing::Test {
 protected:
  absl::StatusOr<PublishedVersions> Load() {
    return PublishedVersions::Load(path_);
  }

  const TemporaryFolder folder_;
  const std::filesystem::path path_ = folder_.path() / "published.json";
};

TEST_F(PublishedVersionsTest, ARunThatGoesOnKnowsWhatItPublished) {
  auto published = Load();
  ASSERT_TRUE(published.ok()) << published.status();
  EXPECT_THAT(published->versions(), IsEmpty());
  ASSERT_TRUE(published->Add(1000, "a").ok());
  ASSERT_TRUE(published->Add(200, "b").ok());
  ASSERT_TRUE(published->Add(3000, "c").ok());
  ASSERT_TRUE(published->Remove(1000).ok());
  const auto again = Load();
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_THAT(again->versions(), ElementsAre(200, 3000));
  EXPECT_EQ(again->digest(200), "b");
}

TEST_F(PublishedVersionsTest, ADamagedListIsNotTakenForAnEmptyOne) {
  for (const std::string text :
       {"", "{", "[]", "{\"1\": 2}", "{\"01\": \"a\"}", "{\"x\": \"a\"}"}) {
    WriteBytes(path_, text);
    const absl::Status status = Load().status();
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << text;
    EXPECT_THAT(std::string(status.message()), HasSubstr(path_.string()));
  }
}

}  // namespace
}  // namespace ddgan
