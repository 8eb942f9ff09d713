#include "client/command_line/image_grid.h"

#include <png.h>

#include <string>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ddgan {
namespace {

v1::ImageShape Shape(uint32_t channels, uint32_t height, uint32_t width) {
  v1::ImageShape shape;
  shape.set_channels(channels);
  shape.set_height(height);
  shape.set_width(width);
  return shape;
}

TEST(ImageGridTest, FillsRowsFromTheTopLeftWithGrayBetween) {
  const GridPicture grid = ArrangeGrid("abcdef", Shape(1, 1, 2)).value();
  EXPECT_EQ(grid.channels, 1u);
  ASSERT_EQ(grid.width, 10u);
  ASSERT_EQ(grid.height, 8u);
  std::string expected(80, '\x80');
  expected.replace(2 * 10 + 2, 2, "ab");
  expected.replace(2 * 10 + 6, 2, "cd");
  expected.replace(5 * 10 + 2, 2, "ef");
  EXPECT_EQ(grid.pixels, expected);
}

TEST(ImageGridTest, KeepsTheChannelsOfAPixelTogether) {
  const GridPicture grid = ArrangeGrid("RGBrgb", Shape(3, 2, 1)).value();
  ASSERT_EQ(grid.width, 5u);
  ASSERT_EQ(grid.height, 6u);
  EXPECT_EQ(grid.pixels.substr((2 * 5 + 2) * 3, 3), "RGB");
  EXPECT_EQ(grid.pixels.substr((3 * 5 + 2) * 3, 3), "rgb");
}

TEST(ImageGridTest, RefusesWhatMakesNoGrid) {
  const auto code = [](const std::string& pixels, const v1::ImageShape& shape) {
    return ArrangeGrid(pixels, shape).status().code();
  };
  EXPECT_EQ(code("", Shape(1, 1, 1)), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code("abc", Shape(1, 1, 2)), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code("abcd", Shape(2, 1, 2)), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code("abcd", Shape(1, 0, 2)), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code("abcd", Shape(3, 0xffffffff, 0xffffffff)),
            absl::StatusCode::kInvalidArgument);
}

TEST(ImageGridTest, EncodesGrayAndRgbWithoutChangingPixels) {
  for (const uint32_t channels : {1u, 3u}) {
    std::string pixels;
    for (int i = 0; i < 256; ++i) {
      pixels.append(channels, static_cast<char>(i));
    }
    const GridPicture picture{channels, 16, 16, pixels};
    const std::string png = EncodePng(picture).value();
    png_image image = {};
    image.version = PNG_IMAGE_VERSION;
    ASSERT_TRUE(
        png_image_begin_read_from_memory(&image, png.data(), png.size()));
    EXPECT_EQ(PNG_IMAGE_PIXEL_CHANNELS(image.format), channels);
    std::string decoded(PNG_IMAGE_SIZE(image), '\0');
    ASSERT_TRUE(
        png_image_finish_read(&image, nullptr, decoded.data(), 0, nullptr));
    EXPECT_EQ(decoded, pixels);
  }
}

}  // namespace
}  // namespace ddgan
