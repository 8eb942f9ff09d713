#include "trainer/import/import_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace ddgan {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

absl::StatusOr<ImportOptions> Parse(const std::vector<std::string>& arguments) {
  return ParseImportOptions(arguments, Environment());
}

std::string Refusal(const std::vector<std::string>& arguments) {
  return std::string(Parse(arguments).status().message());
}

TEST(ImportOptionsTest, TakesFlagsAndFilesInAnyOrder) {
  auto options = Parse({"--model=faces", "a.pth", "--version", "3", "root"});
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->model, "faces");
  EXPECT_EQ(options->version, 3);
  EXPECT_EQ(options->file, "a.pth");
  EXPECT_EQ(options->model_root, "root");
  EXPECT_EQ(options->preset, "");
  options = Parse({"--model=m", "--preset=lsun256", "--config={\"nz\": 7}",
                   "--dataset=d", "--training_step=9", "a.pth", "root"});
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->version, 1);
  EXPECT_EQ(options->preset, "lsun256");
  EXPECT_EQ(options->config, "{\"nz\": 7}");
  EXPECT_EQ(options->dataset, "d");
  EXPECT_EQ(options->training_step, 9);
}

TEST(ImportOptionsTest, NamesWhatIsMissingOrOutOfRange) {
  EXPECT_THAT(Refusal({"a.pth", "root"}), HasSubstr("--model is required"));
  EXPECT_THAT(Refusal({"--model=m", "a.pth"}), HasSubstr("FILE OUT_DIR"));
  EXPECT_THAT(Refusal({"--model=m", "a.pth", "root", "more"}),
              HasSubstr("unexpected argument 'more'"));
  EXPECT_THAT(Refusal({"--model=m", "--version=0", "a.pth", "root"}),
              HasSubstr("--version is 0, must be a whole number in [1, "));
  EXPECT_THAT(Refusal({"--model=m", "--preset=lsun", "a.pth", "root"}),
              HasSubstr("must be one of: cifar10, celebahq256, lsun256"));
  EXPECT_THAT(Refusal({"--modl=m", "a.pth", "root"}),
              HasSubstr("did you mean --model?"));
}

TEST(ImportOptionsTest, HelpAndVersionNeedNothingElse) {
  EXPECT_THAT(Parse({"--help"})->text,
              StartsWith("usage: ddgan-import --model=NAME"));
  EXPECT_THAT(Parse({"--version"})->text, StartsWith("ddgan-import "));
}

}  // namespace
}  // namespace ddgan
