#include "trainer/evaluation/real_pictures.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace ddgan {
namespace {

using ::testing::UnorderedElementsAre;

// Five pictures of 1x2 pixels; both pixels are the index.
class NumberedPictures : public ImageDataset {
 public:
  size_t size() const override { return 5; }
  const ImageShape& shape() const override { return shape_; }
  absl::Status Image(size_t index, absl::Span<uint8_t> pixels) const override {
    std::fill(pixels.begin(), pixels.end(), static_cast<uint8_t>(index));
    return absl::OkStatus();
  }

 private:
  const ImageShape shape_ = {1, 1, 2};
};

TEST(RealPicturesTest, EveryChannelGoesThroughAllDigitsInItsOwnOrder) {
  const NumberedPictures digits;
  RealPictures real(digits, 3, /*seed=*/1);
  const auto pictures = real.Next(5);
  ASSERT_TRUE(pictures.ok()) << pictures.status();
  ASSERT_EQ(pictures->size(), 5u * 2 * 3);
  std::vector<std::vector<int>> channels(3);
  for (size_t k = 0; k < 5; ++k) {
    for (size_t c = 0; c < 3; ++c) {
      channels[c].push_back((*pictures)[k * 6 + c]);
      EXPECT_EQ((*pictures)[k * 6 + c], (*pictures)[k * 6 + 3 + c]);
    }
  }
  for (const std::vector<int>& channel : channels)
    EXPECT_THAT(channel, UnorderedElementsAre(0, 1, 2, 3, 4));
  EXPECT_NE(channels[0], channels[1]);
  EXPECT_NE(channels[1], channels[2]);
}

TEST(RealPicturesTest, GoesOnInANewOrderWhereverBatchesEnd) {
  const NumberedPictures digits;
  RealPictures whole(digits, 1, /*seed=*/1), pieces(digits, 1, /*seed=*/1);
  const std::vector<uint8_t> expected = *whole.Next(10);
  std::vector<uint8_t> found;
  for (const int count : {4, 4, 2}) {
    const auto piece = pieces.Next(count);
    found.insert(found.end(), piece->begin(), piece->end());
  }
  EXPECT_EQ(found, expected);
  EXPECT_FALSE(
      std::equal(expected.begin(), expected.begin() + 10, &expected[10]));
  EXPECT_NE(*RealPictures(digits, 1, /*seed=*/2).Next(10), expected);
}

}  // namespace
}  // namespace ddgan
