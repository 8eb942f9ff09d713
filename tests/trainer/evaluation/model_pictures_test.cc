// The bundled model's images.
#include "trainer/evaluation/model_pictures.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "tests_folder.h"

namespace ddgan {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::SizeIs;

const std::filesystem::path kModels =
    std::filesystem::path(DDGAN_TESTS_DIR) / ".." / "deploy" / "models";

TEST(ModelPicturesTest, ImagesAreThoseOfTheSeedWhateverTheBatch) {
  const auto checkpoint = ReadVersionFolder(kModels / "mnist" / "12060");
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  const auto whole = ModelPictures::Create(
      *checkpoint, {.seed = 7, .threads = 1, .max_batch = 3});
  ASSERT_TRUE(whole.ok()) << whole.status();
  const auto expected = (*whole)->Next(3);
  ASSERT_TRUE(expected.ok()) << expected.status();
  EXPECT_THAT(*expected, SizeIs(3 * 32 * 32));
  EXPECT_EQ((*whole)->images(), 3);
  EXPECT_GT((*whole)->device_time(), absl::ZeroDuration());

  const auto pieces = ModelPictures::Create(
      *checkpoint, {.seed = 7, .threads = 2, .max_batch = 2});
  std::vector<uint8_t> found = (*pieces)->Next(1).value();
  const std::vector<uint8_t> rest = (*pieces)->Next(2).value();
  found.insert(found.end(), rest.begin(), rest.end());
  EXPECT_EQ(found, *expected);
}

TEST(ModelPicturesTest, ASamplerTakesThePlaceOfTheVersionsOwn) {
  const auto checkpoint = ReadVersionFolder(kModels / "mnist" / "12060");
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  const auto pictures = [&](const std::string& sampler, int evaluations) {
    const auto made = ModelPictures::Create(
        *checkpoint, {.seed = 7, .max_batch = 2, .sampler = sampler});
    EXPECT_TRUE(made.ok()) << made.status();
    EXPECT_EQ((*made)->evaluations_per_image(), evaluations) << sampler;
    return (*made)->Next(2).value();
  };
  const std::vector<uint8_t> own = pictures("", 4);
  EXPECT_EQ(pictures("ancestral", 4), own);
  EXPECT_NE(pictures("ddim:2", 2), own);
  EXPECT_NE(pictures("pc", 7), own);
  EXPECT_EQ(ModelPictures::Create(*checkpoint, {.sampler = "ddim:5"})
                .status()
                .message(),
            "sampler = \"ddim:5\" is not allowed: must be ancestral, ddim:K "
            "with K in [1, 4], or pc");
}

TEST(ModelPicturesTest, TakesAPathThatEndsInASlash) {
  const auto checkpoint =
      ReadVersionFolder((kModels / "mnist" / "12060").string() + "/");
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  EXPECT_EQ(checkpoint->identity.version, 12060);
}

TEST(ModelPicturesTest, SaysWhichPathIsNoVersion) {
  const auto message = [](const std::filesystem::path& folder) {
    return std::string(ReadVersionFolder(folder).status().message());
  };
  EXPECT_THAT(
      message(kModels / "mnist"),
      AllOf(HasSubstr("--model is '"), HasSubstr("must end in MODEL/VERSION")));
  EXPECT_THAT(message("/"), HasSubstr("must end in MODEL/VERSION"));
  EXPECT_THAT(message(""), HasSubstr("must end in MODEL/VERSION"));
  EXPECT_EQ(ReadVersionFolder(kModels / "mnist" / "1").status().code(),
            absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace ddgan
