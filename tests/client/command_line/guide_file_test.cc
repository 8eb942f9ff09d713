#include "client/command_line/guide_file.h"

#include <string>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/fakes/temporary_folder.h"

namespace ddgan {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

const std::string kSignature = "\x89PNG\r\n\x1a\n";

class GuideFileTest : public ::testing::Test {
 protected:
  absl::StatusOr<std::string> ReadFileOf(const std::string& bytes) const {
    WriteBytes(path_, bytes);
    return ReadGuideFile(path_);
  }

  const TemporaryFolder folder_;
  const std::string path_ = folder_.path() / "strokes.png";
};

TEST_F(GuideFileTest, ReadsUpToTheLimit) {
  const std::string small = kSignature + std::string("\0\n\r\x1a", 4);
  EXPECT_EQ(ReadFileOf(small).value(), small);
  const std::string large =
      kSignature + std::string(kMaxGuideBytes - kSignature.size(), 'x');
  EXPECT_EQ(ReadFileOf(large).value(), large);
  const absl::Status status = ReadFileOf(large + "x").status();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr(path_), HasSubstr("larger than 1048576 bytes")));
}

TEST_F(GuideFileTest, DoesNotReadForEver) {
  EXPECT_THAT(ReadGuideFile("/dev/zero").status().ToString(),
              HasSubstr("larger than"));
}

TEST_F(GuideFileTest, RefusesWhatDoesNotBeginAsAPng) {
  for (const std::string& bytes :
       {std::string(), std::string("\x89PNG"), std::string("\xff\xd8 JPEG")}) {
    EXPECT_THAT(ReadFileOf(bytes).status().ToString(),
                AllOf(HasSubstr(path_), HasSubstr("is no PNG file")));
  }
}

TEST_F(GuideFileTest, NamesWhatItCannotRead) {
  EXPECT_THAT(ReadGuideFile("/no/such.png").status().ToString(),
              HasSubstr("cannot read /no/such.png: No such file"));
  EXPECT_THAT(ReadGuideFile("/").status().ToString(),
              HasSubstr("cannot read /: Is a directory"));
}

}  // namespace
}  // namespace ddgan
