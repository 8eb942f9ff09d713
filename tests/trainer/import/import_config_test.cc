#include "trainer/import/import_config.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/fakes/temporary_folder.h"

namespace ddgan {
namespace {

using ::testing::HasSubstr;

ImportOptions Options(const std::string& preset, const std::string& config,
                      const std::string& dataset) {
  ImportOptions options;
  options.preset = preset;
  options.config = config;
  options.dataset = dataset;
  return options;
}

std::string DatasetOf(const ImportOptions& options) {
  const auto config = ReadImportConfig(options);
  return config.ok() ? config->dataset : std::string(config.status().message());
}

TEST(ImportConfigTest, RecordsTheDataSetThatItWasTold) {
  EXPECT_EQ(DatasetOf(Options("lsun256", "{\"dataset\": \"a\"}", "mine")),
            "mine");
  EXPECT_EQ(DatasetOf(Options("lsun256", "{\"dataset\": \"a\"}", "")), "a");
  EXPECT_EQ(DatasetOf(Options("lsun256", "", "")), "lsun256");
  // Another architecture, or one that nobody named, is no sign of a data set.
  EXPECT_EQ(DatasetOf(Options("lsun256", "{\"nz\": 7}", "")), "unknown");
  EXPECT_EQ(DatasetOf(Options("", "", "")), "unknown");
}

TEST(ImportConfigTest, ReadsTheArchitectureFromPresetAndConfig) {
  const auto config =
      ReadImportConfig(Options("", "{\"dataset\": \"a\", \"nz\": 7}", ""));
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->model_config.nz, 7);
  EXPECT_EQ(config->model_config.image_size, 32);
  const TemporaryFolder folder;
  WriteBytes(folder.path() / "c.json", "{\"nz\": 9}");
  EXPECT_EQ(ReadImportConfig(
                Options("celebahq256", (folder.path() / "c.json").string(), ""))
                ->model_config.nz,
            9);
}

TEST(ImportConfigTest, NamesWhatIsWrong) {
  EXPECT_THAT(DatasetOf(Options("", "{\"dataset\": 3}", "")),
              HasSubstr("--config: dataset is 3, must be a string"));
  EXPECT_THAT(DatasetOf(Options("", "{\"dataset\": \"a\", \"nzz\": 3}", "")),
              HasSubstr("nzz"));
  EXPECT_THAT(DatasetOf(Options("", "{", "")), HasSubstr("--config: "));
  EXPECT_THAT(DatasetOf(Options("", "/nowhere/c.json", "")),
              HasSubstr("/nowhere/c.json cannot be read"));
}

}  // namespace
}  // namespace ddgan
