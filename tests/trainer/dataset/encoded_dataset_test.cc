#include "trainer/dataset/encoded_dataset.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "engine/imaging/png_encoder.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/trainer/dataset/webp_file.h"

namespace ddgan {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class HeldImages : public EncodedImages {
 public:
  explicit HeldImages(std::vector<std::string> files)
      : files_(std::move(files)) {}

  size_t size() const override { return files_.size(); }
  std::string Name(size_t index) const override {
    return "image " + std::to_string(index);
  }
  absl::StatusOr<std::string_view> Read(size_t index,
                                        std::string*) const override {
    return files_[index];
  }

 private:
  const std::vector<std::string> files_;
};

std::string Gray(uint8_t level) {
  return EncodePng({&level, 1}, {1, 1, 1}).value();
}
std::string Rgb(std::vector<uint8_t> pixel) {
  return EncodePng(pixel, {3, 1, 1}).value();
}

EncodedDataset Dataset(std::vector<std::string> files, int channels,
                       Conversion conversion) {
  return EncodedDataset(std::make_unique<HeldImages>(std::move(files)),
                        {channels, 1, 1}, EncodedDataset::RawValues::kDamaged,
                        conversion);
}

absl::StatusOr<std::vector<uint8_t>> Pixels(const EncodedDataset& dataset,
                                            size_t index) {
  std::vector<uint8_t> pixels(static_cast<size_t>(dataset.shape().channels));
  if (absl::Status s = dataset.Image(index, absl::MakeSpan(pixels)); !s.ok()) {
    return s;
  }
  return pixels;
}

TEST(EncodedDatasetTest, RefusesWhatIsNotRgbAndCountsEachOnce) {
  const EncodedDataset dataset =
      Dataset({Gray(7), WebpFile({10, 20, 30, 254}, 1, 1, 4), Rgb({1, 2, 3})},
              3, Conversion::kRefuse);
  EXPECT_EQ(dataset.Remarks(), "");
  EXPECT_THAT(Pixels(dataset, 2).value(), ElementsAre(1, 2, 3));
  EXPECT_EQ(dataset.Remarks(), "");
  for (int i = 0; i < 2; ++i) {
    const absl::Status gray = Pixels(dataset, 0).status();
    EXPECT_TRUE(absl::IsFailedPrecondition(gray)) << gray;
    EXPECT_THAT(std::string(gray.message()),
                HasSubstr("image 0: the picture is gray"));
  }
  EXPECT_THAT(std::string(Pixels(dataset, 1).status().message()),
              HasSubstr("image 1: the picture is RGB with alpha"));
  EXPECT_EQ(dataset.Remarks(),
            "1 gray, 1 RGB with alpha so far of 3 pictures not used, since the "
            "model's images are RGB; convert=rgb takes them");
}

TEST(EncodedDatasetTest, ConvertsToRgb) {
  const EncodedDataset dataset = Dataset(
      {Gray(7), WebpFile({10, 20, 30, 0}, 1, 1, 4)}, 3, Conversion::kToRgb);
  EXPECT_THAT(Pixels(dataset, 0).value(), Each(7));
  EXPECT_THAT(Pixels(dataset, 0).value(), Each(7));
  EXPECT_THAT(Pixels(dataset, 1).value(), Each(0));
  EXPECT_EQ(dataset.Remarks(),
            "1 gray, 1 RGB with alpha so far of 2 pictures converted to RGB");
}

TEST(EncodedDatasetTest, MakesNoGrayOfRgb) {
  const EncodedDataset dataset =
      Dataset({Rgb({1, 2, 3}), Gray(9)}, 1, Conversion::kRefuse);
  EXPECT_TRUE(absl::IsFailedPrecondition(Pixels(dataset, 0).status()));
  EXPECT_THAT(Pixels(dataset, 1).value(), ElementsAre(9));
}

}  // namespace
}  // namespace ddgan
