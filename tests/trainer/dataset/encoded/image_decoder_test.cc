#include "trainer/dataset/encoded/image_decoder.h"

#include <png.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "engine/imaging/png_encoder.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/trainer/dataset/jpeg_file.h"
#include "tests/trainer/dataset/webp_file.h"

namespace ddgan {
namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;

std::string PngFile(const Picture& picture) {
  return EncodePng(picture.pixels, picture.shape).value();
}

// One pixel of this kind of colour, with a transparent colour if asked.
std::string PngWith(int color_type, bool transparent_color) {
  std::string file;
  png_structp png =
      png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  png_set_write_fn(
      png, &file,
      [](png_structp writer, png_bytep bytes, size_t size) {
        static_cast<std::string*>(png_get_io_ptr(writer))
            ->append(reinterpret_cast<const char*>(bytes), size);
      },
      nullptr);
  png_set_IHDR(png, info, 1, 1, 8, color_type, PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_color_16 color = {};
  if (transparent_color) png_set_tRNS(png, info, nullptr, 0, &color);
  png_write_info(png, info);
  const png_byte row[4] = {10, 20, 30, 40};
  png_write_row(png, row);
  png_write_end(png, info);
  png_destroy_write_struct(&png, &info);
  return file;
}

std::vector<uint8_t> Fitted(const Picture& picture, int side) {
  const ImageShape shape = {picture.shape.channels, side, side};
  std::vector<uint8_t> pixels(size_t{1} * shape.channels * side * side);
  const absl::Status status =
      ResizeCrop(picture, shape, absl::MakeSpan(pixels));
  EXPECT_TRUE(status.ok()) << status;
  return pixels;
}

void ExpectError(const std::string& bytes, absl::StatusCode code,
                 const std::string& reason) {
  const absl::Status status = DecodeImage(bytes).status();
  EXPECT_EQ(status.code(), code) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(reason));
}

constexpr absl::StatusCode kDamaged = absl::StatusCode::kDataLoss;
constexpr absl::StatusCode kOther = absl::StatusCode::kFailedPrecondition;

TEST(DecodeImageTest, TellsFormatsApartByContent) {
  const Picture picture = Gradient(3, 8, 9);
  const absl::StatusOr<DecodedImage> png = DecodeImage(PngFile(picture));
  ASSERT_TRUE(png.ok());
  EXPECT_EQ(png->picture.pixels, picture.pixels);
  EXPECT_FALSE(png->has_alpha);
  EXPECT_EQ(DecodeImage(WebpFile(picture))->picture.pixels, picture.pixels);
  EXPECT_EQ(DecodeImage(JpegFile(picture))->picture.shape, picture.shape);
  EXPECT_EQ(DecodeImage(JpegFile(Gradient(1, 4, 4)))->picture.shape.channels,
            1);
}

TEST(DecodeImageTest, KnowsAlphaOfEveryKind) {
  const auto has_alpha = [](const std::string& file) {
    const absl::StatusOr<DecodedImage> image = DecodeImage(file);
    EXPECT_TRUE(image.ok()) << image.status();
    return image.ok() && image->has_alpha;
  };
  EXPECT_TRUE(has_alpha(PngWith(PNG_COLOR_TYPE_GRAY_ALPHA, false)));
  EXPECT_TRUE(has_alpha(PngWith(PNG_COLOR_TYPE_RGB_ALPHA, false)));
  EXPECT_TRUE(has_alpha(PngWith(PNG_COLOR_TYPE_RGB, true)));
  EXPECT_FALSE(has_alpha(PngWith(PNG_COLOR_TYPE_RGB, false)));
  EXPECT_TRUE(has_alpha(WebpFile({1, 2, 3, 4}, 1, 1, 4)));
}

TEST(DecodeImageTest, NamesOtherFormats) {
  ExpectError("", kDamaged, "an empty file");
  ExpectError("GIF89a", kOther, "a GIF picture");
  ExpectError("BM123", kOther, "a BMP picture; PNG, JPEG and WebP can be read");
  ExpectError("hello", kDamaged, "these 5 bytes; PNG, JPEG and WebP");
}

TEST(DecodeImageTest, CallsDamageDataLoss) {
  const std::string png = PngFile(Gradient(3, 8, 8));
  ExpectError(png.substr(0, png.size() - 20), kDamaged, "damaged PNG file");
  const std::string jpeg = JpegFile(Gradient(3, 8, 8));
  ExpectError(jpeg.substr(0, jpeg.size() - 20), kDamaged, "damaged JPEG file");
  const std::string webp = WebpFile(Gradient(3, 8, 8));
  ExpectError(webp.substr(0, webp.size() - 20), kDamaged, "damaged WebP file");
  ExpectError(png + std::string(kMaxEncodedBytes, ' '), kDamaged,
              "allowed are at most 67108864");
}

TEST(DecodeImageTest, CallsWhatIsTooLargeSo) {
  std::string bomb = PngFile(Gradient(3, 8, 8));
  bomb[16] = bomb[20] = '\x01';  // 2^24 by 2^24 pixels and some.
  ExpectError(bomb, kOther, "allowed are 1x1 to 16384x16384");
  std::string large = PngFile(Gradient(3, 8, 8));
  large[18] = large[22] = '\x20';  // 8200x8200.
  ExpectError(large, kOther, "8200x8200 pixels");
}

TEST(ResizeCropTest, CopiesAPictureOfTheRightSize) {
  for (const int channels : {1, 3}) {
    const Picture picture = Gradient(channels, 8, 8);
    EXPECT_EQ(Fitted(picture, 8), picture.pixels);
  }
}

// Of 2 columns too many one is cut on each side; of 3, the odd one is right.
TEST(ResizeCropTest, CutsTheMiddleByteForByte) {
  for (const auto& [width, left] :
       {std::pair{6, 1}, std::pair{7, 1}, std::pair{8, 2}}) {
    Picture picture;
    picture.shape = {1, 4, width};
    for (int i = 0; i < 4 * width; ++i) {
      picture.pixels.push_back(static_cast<uint8_t>(i % width));
    }
    std::vector<uint8_t> wanted;
    for (int i = 0; i < 16; ++i) {
      wanted.push_back(static_cast<uint8_t>(left + i % 4));
    }
    EXPECT_THAT(Fitted(picture, 4), ElementsAreArray(wanted)) << width;
  }
}

TEST(ResizeCropTest, CutsTallPicturesToo) {
  Picture picture;
  picture.shape = {3, 5, 2};
  for (int i = 0; i < 5 * 2 * 3; ++i) {
    picture.pixels.push_back(static_cast<uint8_t>(i));
  }
  std::vector<uint8_t> wanted(picture.pixels.begin() + 6,
                              picture.pixels.begin() + 18);
  EXPECT_EQ(Fitted(picture, 2), wanted);
}

// A checkerboard of single pixels becomes an even gray, not one of its colours.
TEST(ResizeCropTest, ShrinksWithEveryPixelsShare) {
  Picture picture;
  picture.shape = {1, 64, 96};
  for (int y = 0; y < 64; ++y) {
    for (int x = 0; x < 96; ++x) {
      picture.pixels.push_back((x + y) % 2 == 0 ? 255 : 0);
    }
  }
  EXPECT_THAT(Fitted(picture, 8),
              Each(AllOf(::testing::Ge(125), ::testing::Le(130))));
}

TEST(ResizeCropTest, KeepsEvenColoursAtEverySize) {
  for (const int level : {0, 1, 254, 255}) {
    Picture picture;
    picture.shape = {3, 11, 17};
    picture.pixels.assign(11 * 17 * 3, static_cast<uint8_t>(level));
    for (int side = 1; side < 40; ++side) {
      ASSERT_THAT(Fitted(picture, side), Each(level));
    }
  }
}

TEST(ResizeCropTest, BoundsWhatASliverCosts) {
  Picture picture;
  picture.shape = {1, 1, 16384};
  picture.pixels.assign(16384, 7);
  EXPECT_THAT(Fitted(picture, 256), Each(7));
}

TEST(ResizeCropTest, RefusesOtherChannelsBothWays) {
  std::vector<uint8_t> pixels(3 * 8 * 8);
  const absl::Status gray =
      ResizeCrop(Gradient(1, 8, 8), {3, 8, 8}, absl::MakeSpan(pixels));
  EXPECT_EQ(gray.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(gray.message(),
            "the picture is gray (1 channel), the model's images are RGB (3 "
            "channels)");
  pixels.resize(8 * 8);
  EXPECT_EQ(
      ResizeCrop(Gradient(3, 8, 8), {1, 8, 8}, absl::MakeSpan(pixels)).code(),
      absl::StatusCode::kFailedPrecondition);
}

TEST(ResizeCropTest, RefusesSizesThatDisagree) {
  std::vector<uint8_t> pixels(3 * 8 * 8);
  Picture picture = Gradient(3, 8, 8);
  for (const ImageShape& shape :
       {ImageShape{3, 8, 4}, ImageShape{3, 0, 0}, ImageShape{3, 9, 9}}) {
    EXPECT_EQ(ResizeCrop(picture, shape, absl::MakeSpan(pixels)).code(),
              absl::StatusCode::kInvalidArgument);
  }
  picture.pixels.pop_back();
  EXPECT_EQ(ResizeCrop(picture, {3, 8, 8}, absl::MakeSpan(pixels)).code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace ddgan
