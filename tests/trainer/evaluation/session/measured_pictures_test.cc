// The real pictures that an evaluation is against.
#include "trainer/evaluation/session/measured_pictures.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "engine/imaging/png_encoder.h"
#include "tests/fakes/temporary_folder.h"

namespace ddgan {
namespace {

using ::testing::Each;
using ::testing::HasSubstr;

constexpr ImageShape kShape = {3, 8, 8};

class RealPicturesOfASetTest : public ::testing::Test {
 protected:
  RealPicturesOfASetTest() {
    Write("horse/1.png", 3, 10);
    Write("ship/1.png", 3, 20);
    Write("ship/2.png", 1, 30);
  }

  // `level` everywhere.
  void Write(const std::string& name, int channels, uint8_t level) {
    const std::filesystem::path path = folder_.path() / name;
    std::filesystem::create_directories(path.parent_path());
    const ImageShape shape = {channels, 8, 8};
    const std::vector<uint8_t> pixels(shape.numel(), level);
    WriteBytes(path, EncodePng(pixels, shape).value());
  }

  absl::StatusOr<std::unique_ptr<DatasetPictures>> Open(
      const DataChoice& choice) const {
    return OpenRealPictures("image_folder", folder_.path().string(), choice,
                            kShape);
  }

  const TemporaryFolder folder_;
};

TEST_F(RealPicturesOfASetTest, AreThoseOfTheClassesAndTheLimit) {
  DataChoice choice;
  EXPECT_EQ(Open(choice).value()->size(), 3);
  choice.classes = "ship";
  EXPECT_EQ(Open(choice).value()->size(), 2);
  choice.dataset_limit = 1;
  const auto pictures = Open(choice).value();
  ASSERT_EQ(pictures->size(), 1);
  EXPECT_THAT(pictures->Pictures(0, 1).value(), Each(20));
  EXPECT_THAT(
      RealPicture("image_folder", folder_.path().string(), choice, kShape, 0)
          .value(),
      Each(20));
}

TEST_F(RealPicturesOfASetTest, AreConvertedIfAsked) {
  DataChoice choice;
  EXPECT_THAT(
      std::string(Open(choice).value()->Pictures(0, 3).status().message()),
      HasSubstr("convert=rgb takes it"));
  choice.convert = Conversion::kToRgb;
  EXPECT_EQ(Open(choice).value()->Pictures(0, 3).value().size(),
            3 * kShape.numel());
}

// By the description features are found in the cache.
TEST_F(RealPicturesOfASetTest, AreDescribedByWhatIsChosen) {
  std::vector<DataChoice> choices(4);
  choices[1].classes = "ship";
  choices[2].dataset_limit = 2;
  choices[3].convert = Conversion::kToRgb;
  std::set<std::string> descriptions;
  for (const DataChoice& choice : choices) {
    descriptions.insert(Open(choice).value()->description());
  }
  EXPECT_EQ(descriptions.size(), choices.size());
}

}  // namespace
}  // namespace ddgan
