#include "trainer/pictures/sample_grid.h"

#include <numeric>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ddgan {
namespace {

using ::testing::ElementsAre;
using ::testing::StartsWith;

TEST(SampleGridTest, FillsRowsFromTheTopLeftAndLeavesTheRestEmpty) {
  const std::vector<uint8_t> images = {1, 2, 3, 4, 5, 6};  // three of 2x1
  SampleGridOptions options;
  options.gap = 1;
  options.background = 9;
  const SampleGrid grid = ArrangeSamples(images, {1, 1, 2}, options).value();
  EXPECT_EQ(grid.shape, (ImageShape{1, 5, 7}));
  EXPECT_THAT(grid.pixels, ElementsAre(9, 9, 9, 9, 9, 9, 9,  //
                                       9, 1, 2, 9, 3, 4, 9,  //
                                       9, 9, 9, 9, 9, 9, 9,  //
                                       9, 5, 6, 9, 9, 9, 9,  //
                                       9, 9, 9, 9, 9, 9, 9));
}

TEST(SampleGridTest, KeepsTheChannelsOfAPixelTogether) {
  std::vector<uint8_t> images(12);  // two of 1x2, RGB
  std::iota(images.begin(), images.end(), uint8_t{0});
  SampleGridOptions options;
  options.gap = 0;
  const SampleGrid grid = ArrangeSamples(images, {3, 2, 1}, options).value();
  EXPECT_EQ(grid.shape, (ImageShape{3, 2, 2}));
  EXPECT_THAT(grid.pixels, ElementsAre(0, 1, 2, 6, 7, 8,  //
                                       3, 4, 5, 9, 10, 11));
}

TEST(SampleGridTest, IsAboutSquareUnlessColumnsAreGiven) {
  const std::vector<uint8_t> images(10);
  SampleGridOptions options;
  options.gap = 0;
  EXPECT_EQ(ArrangeSamples(images, {1, 1, 1}, options)->shape,
            (ImageShape{1, 3, 4}));
  options.columns = 5;
  EXPECT_EQ(ArrangeSamples(images, {1, 1, 1}, options)->shape,
            (ImageShape{1, 2, 5}));
  options.columns = 1000;  // No wider than the images fill.
  EXPECT_EQ(ArrangeSamples(images, {1, 1, 1}, options)->shape,
            (ImageShape{1, 1, 10}));
}

TEST(SampleGridTest, EncodesTheGridAsPng) {
  const std::vector<uint8_t> images(64 * 32 * 32);
  EXPECT_THAT(EncodeSampleGrid(images, {1, 32, 32}).value(),
              StartsWith("\x89PNG"));
}

TEST(SampleGridTest, RefusesWhatIsNoWholeNumberOfImages) {
  const std::vector<uint8_t> images(10);
  const auto code = [&](const ImageShape& shape,
                        const SampleGridOptions& options = {}) {
    return ArrangeSamples(images, shape, options).status().code();
  };
  EXPECT_EQ(code({1, 3, 1}), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code({1, 11, 1}), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code({0, 1, 1}), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code({1, -1, 1}), absl::StatusCode::kInvalidArgument);
  SampleGridOptions options;
  options.columns = -1;
  EXPECT_EQ(code({1, 1, 1}, options), absl::StatusCode::kInvalidArgument);
  options = {};
  options.gap = -1;
  EXPECT_EQ(code({1, 1, 1}, options), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ArrangeSamples({}, {1, 1, 1}).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace ddgan
