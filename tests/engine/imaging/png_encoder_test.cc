#include "engine/imaging/png_encoder.h"

#include <png.h>

#include <cstddef>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ddgan {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Pair;

std::vector<uint8_t> Gradient(const ImageShape& shape) {
  std::vector<uint8_t> pixels(shape.numel());
  for (size_t i = 0; i < pixels.size(); ++i) {
    pixels[i] = static_cast<uint8_t>(i * 37 + i / 11);
  }
  return pixels;
}

struct DecodedPng {
  ImageShape shape;
  std::vector<uint8_t> pixels;
};

// With libpng's reader, so the test does not trust the code under test.
DecodedPng Decode(const std::string& png) {
  DecodedPng decoded;
  png_image image = {};
  image.version = PNG_IMAGE_VERSION;
  EXPECT_TRUE(png_image_begin_read_from_memory(&image, png.data(), png.size()))
      << image.message;
  decoded.shape = {static_cast<int>(PNG_IMAGE_PIXEL_CHANNELS(image.format)),
                   static_cast<int>(image.height),
                   static_cast<int>(image.width)};
  decoded.pixels.resize(PNG_IMAGE_SIZE(image));
  EXPECT_TRUE(
      png_image_finish_read(&image, nullptr, decoded.pixels.data(), 0, nullptr))
      << image.message;
  return decoded;
}

// With libpng, what a PNG says before its pixels. PIL has the same in
// Image.text.
std::vector<std::pair<std::string, std::string>> ReadText(
    const std::string& png) {
  struct Source {
    const std::string& bytes;
    size_t at = 0;
  } source{png};
  png_structp reader =
      png_create_read_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(reader);
  png_set_read_fn(
      reader, &source, [](png_structp r, png_bytep data, size_t size) {
        auto* from = static_cast<Source*>(png_get_io_ptr(r));
        from->bytes.copy(reinterpret_cast<char*>(data), size, from->at);
        from->at += size;
      });
  png_read_info(reader, info);  // As far as the first IDAT.
  png_textp entries = nullptr;
  const int count = png_get_text(reader, info, &entries, nullptr);
  std::vector<std::pair<std::string, std::string>> text;
  for (int i = 0; i < count; ++i) {
    text.emplace_back(entries[i].key, entries[i].text);
  }
  png_destroy_read_struct(&reader, &info, nullptr);
  return text;
}

void ExpectRefused(const absl::StatusOr<std::string>& result,
                   const std::string& reason) {
  EXPECT_EQ(result.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(result.status().message()), HasSubstr(reason));
}

TEST(PngEncoderTest, DecodesToTheSamePixelsForEveryShapeAndLevel) {
  for (const ImageShape& shape :
       {ImageShape{1, 1, 1}, ImageShape{3, 1, 1}, ImageShape{1, 32, 32},
        ImageShape{3, 32, 32}, ImageShape{3, 5, 9}, ImageShape{1, 300, 2}}) {
    const std::vector<uint8_t> pixels = Gradient(shape);
    for (int level = 0; level <= 9; ++level) {
      PngOptions options;
      options.compression_level = level;
      const absl::StatusOr<std::string> png = EncodePng(pixels, shape, options);
      ASSERT_TRUE(png.ok()) << png.status();
      const DecodedPng decoded = Decode(*png);
      EXPECT_EQ(decoded.shape, shape);
      EXPECT_EQ(decoded.pixels, pixels);
    }
  }
}

TEST(PngEncoderTest, GivesEqualBytesForEqualInput) {
  const ImageShape shape{3, 64, 64};
  const std::vector<uint8_t> pixels = Gradient(shape);
  PngOptions options;
  options.text = {{"seed", "7"}, {"model", "mnist"}};
  const absl::StatusOr<std::string> first = EncodePng(pixels, shape, options);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(EncodePng(pixels, shape, options).value(), *first);
}

TEST(PngEncoderTest, WritesTextAsUncompressedChunks) {
  PngOptions options;
  options.text = {{"ddgan seed", "18446744073709551615"}, {"empty", ""}};
  const std::string png =
      EncodePng(Gradient({1, 4, 4}), {1, 4, 4}, options).value();
  EXPECT_THAT(png, HasSubstr(std::string("tEXtddgan seed\0"
                                         "18446744073709551615",
                                         4 + 10 + 1 + 20)));
  EXPECT_THAT(png, HasSubstr(std::string("tEXtempty\0", 10)));
}

TEST(PngEncoderTest, WritesTextInOrderBeforeThePixels) {
  PngOptions options;
  options.text = {{"Software", "ddgan-serve"},
                  {"ddgan:seed", "7"},
                  {"a", std::string(3000, 'a')},
                  {"caf\xe9", "Latin-1 \xe9"},
                  {"empty", ""}};
  const ImageShape shape{3, 16, 16};
  const std::vector<uint8_t> pixels = Gradient(shape);
  const std::string png = EncodePng(pixels, shape, options).value();
  EXPECT_THAT(
      ReadText(png),
      ElementsAre(Pair("Software", "ddgan-serve"), Pair("ddgan:seed", "7"),
                  Pair("a", std::string(3000, 'a')),
                  Pair("caf\xe9", "Latin-1 \xe9"), Pair("empty", "")));
  EXPECT_EQ(Decode(png).pixels, pixels);
}

TEST(PngEncoderTest, WritesNoTextUnlessAsked) {
  EXPECT_THAT(EncodePng(Gradient({1, 4, 4}), {1, 4, 4}).value(),
              Not(HasSubstr("tEXt")));
}

TEST(PngEncoderTest, RefusesSizesThatDisagree) {
  const std::vector<uint8_t> pixels(12);
  ExpectRefused(EncodePng(pixels, {1, 3, 3}), "12 bytes of pixels");
  ExpectRefused(EncodePng(pixels, {1, 4, 4}), "has 16");
  ExpectRefused(EncodePng({}, {1, 4, 4}), "0 bytes of pixels");
}

TEST(PngEncoderTest, RefusesShapesThatNoPngHas) {
  const std::vector<uint8_t> pixels(12);
  ExpectRefused(EncodePng({}, {1, 0, 0}), "size 0x0");
  ExpectRefused(EncodePng(pixels, {1, -3, -4}), "size -4x-3");
  ExpectRefused(EncodePng(pixels, {2, 3, 2}), "2 channels");
  ExpectRefused(EncodePng(pixels, {0, 3, 4}), "0 channels");
  constexpr int kHuge = std::numeric_limits<int>::max();
  ExpectRefused(EncodePng(pixels, {3, kHuge, kHuge}), "each side");
}

TEST(PngEncoderTest, RefusesCompressionLevelOutOfRange) {
  const std::vector<uint8_t> pixels(1);
  for (int level : {-1, 10}) {
    PngOptions options;
    options.compression_level = level;
    ExpectRefused(EncodePng(pixels, {1, 1, 1}, options), "compression_level");
  }
}

TEST(PngEncoderTest, RefusesTextThatPngCannotHold) {
  const std::vector<uint8_t> pixels(1);
  for (const std::string& key :
       {std::string(), std::string(80, 'k'), std::string(" lead"),
        std::string("trail "), std::string("two  spaces"),
        std::string("new\nline"), std::string("nul\0", 4)}) {
    PngOptions options;
    options.text = {{key, "text"}};
    ExpectRefused(EncodePng(pixels, {1, 1, 1}, options), "text key");
  }
  PngOptions options;
  options.text = {{"key", std::string("a\0b", 3)}};
  ExpectRefused(EncodePng(pixels, {1, 1, 1}, options), "zero byte");
}

}  // namespace
}  // namespace ddgan
