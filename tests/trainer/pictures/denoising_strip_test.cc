#include "trainer/pictures/denoising_strip.h"

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ddgan {
namespace {

using ::testing::StartsWith;

// Row `y` of a gray picture.
std::vector<int> Row(const SampleGrid& grid, int y) {
  const auto begin = grid.pixels.begin() + y * grid.shape.width;
  return std::vector<int>(begin, begin + grid.shape.width);
}

TEST(DenoisingStripTest, HasARowForEachImageAndAColumnForEachState) {
  // T = 2: x_2, x0', x_1, x0', x_0 of two images of one pixel.
  const std::vector<std::vector<uint8_t>> columns = {
      {1, 6}, {2, 7}, {3, 8}, {4, 9}, {5, 10}};
  const SampleGrid strip = ArrangeDenoisingStrip(columns, {1, 1, 1}).value();
  EXPECT_EQ(strip.shape, (ImageShape{1, 17, 35}));
  const int w = 255;
  const int l = 160;  // The line.
  EXPECT_EQ(Row(strip, 4), std::vector<int>(35, w));
  EXPECT_EQ(Row(strip, 5),
            (std::vector<int>{w, w, w, w, w, 1, w, w, w, w, w, 2,  //
                              w, w, l, w, w, 3, w, w, w, w, w, 4,  //
                              w, w, l, w, w, 5, w, w, w, w, w}));
  EXPECT_EQ(Row(strip, 8)[14], l);  // Also between the rows.
  EXPECT_EQ(Row(strip, 11),
            (std::vector<int>{w, w, w, w, w, 6,  w, w, w, w, w, 7,  //
                              w, w, l, w, w, 8,  w, w, w, w, w, 9,  //
                              w, w, l, w, w, 10, w, w, w, w, w}));
  EXPECT_EQ(Row(strip, 12), std::vector<int>(35, w));
}

TEST(DenoisingStripTest, KeepsTheChannelsOfAPixelTogether) {
  const std::vector<std::vector<uint8_t>> columns = {
      {1, 2, 3}, {4, 5, 6}, {7, 8, 9}};
  const SampleGrid strip = ArrangeDenoisingStrip(columns, {3, 1, 1}).value();
  EXPECT_EQ(strip.shape, (ImageShape{3, 11, 23}));
  const uint8_t* row = strip.pixels.data() + 5 * 23 * 3;
  EXPECT_THAT(std::vector<int>(row + 11 * 3, row + 12 * 3),
              ::testing::ElementsAre(4, 5, 6));
  EXPECT_THAT(
      std::vector<int>(row + 13 * 3, row + 16 * 3),
      ::testing::ElementsAre(255, 255, 255, 160, 160, 160, 255, 255, 255));
}

TEST(DenoisingStripTest, EncodesTheStripAsPng) {
  const std::vector<std::vector<uint8_t>> columns(
      9, std::vector<uint8_t>(8 * 3 * 32 * 32));
  EXPECT_THAT(EncodeDenoisingStrip(columns, {3, 32, 32}).value(),
              StartsWith("\x89PNG"));
}

TEST(DenoisingStripTest, RefusesWhatIsNoStrip) {
  const auto code = [](const std::vector<std::vector<uint8_t>>& columns,
                       const ImageShape& shape) {
    return EncodeDenoisingStrip(columns, shape).status().code();
  };
  const auto kInvalid = absl::StatusCode::kInvalidArgument;
  EXPECT_EQ(code({}, {1, 1, 1}), kInvalid);
  EXPECT_EQ(code({{1}}, {1, 1, 1}), kInvalid);
  EXPECT_EQ(code({{1}, {2}}, {1, 1, 1}), kInvalid);
  EXPECT_EQ(code({{1}, {2}, {3}, {4}}, {1, 1, 1}), kInvalid);
  EXPECT_EQ(code({{1}, {2}, {3, 4}}, {1, 1, 1}), kInvalid);
  EXPECT_EQ(code({{}, {}, {}}, {1, 1, 1}), kInvalid);
  EXPECT_EQ(code({{1}, {2}, {3}}, {1, 1, 2}), kInvalid);
  EXPECT_EQ(code({{1}, {2}, {3}}, {1, 0, 1}), kInvalid);
  EXPECT_EQ(code({{1}, {2}, {3}}, {1, 1, -1}), kInvalid);
  // Three columns of 2 bytes are whole images of 3 bytes, but not each.
  EXPECT_EQ(code({{1, 2}, {3, 4}, {5, 6}}, {1, 1, 3}), kInvalid);
}

}  // namespace
}  // namespace ddgan
