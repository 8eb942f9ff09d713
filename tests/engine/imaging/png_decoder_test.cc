#include "engine/imaging/png_decoder.h"

#include <png.h>
#include <zlib.h>

#include <cstddef>
#include <random>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/fakes/mutated_bytes.h"

namespace ddgan {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const std::string kSignature = "\x89PNG\r\n\x1a\n";

std::string BigEndian(uint32_t value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) {
    bytes.push_back(static_cast<char>(value >> shift));
  }
  return bytes;
}

uint32_t Checksum(const std::string& bytes) {
  return static_cast<uint32_t>(
      crc32(0, reinterpret_cast<const Bytef*>(bytes.data()),
            static_cast<uInt>(bytes.size())));
}

std::string Chunk(const std::string& name, const std::string& data) {
  return BigEndian(static_cast<uint32_t>(data.size())) + name + data +
         BigEndian(Checksum(name + data));
}

std::string Deflated(const std::string& bytes, int level = 6) {
  uLongf size = compressBound(bytes.size());
  std::string deflated(size, '\0');
  EXPECT_EQ(compress2(reinterpret_cast<Bytef*>(deflated.data()), &size,
                      reinterpret_cast<const Bytef*>(bytes.data()),
                      bytes.size(), level),
            Z_OK);
  deflated.resize(size);
  return deflated;
}

std::string Header(uint32_t width, uint32_t height, int bit_depth,
                   int color_type, bool interlaced = false) {
  return Chunk("IHDR", BigEndian(width) + BigEndian(height) +
                           std::string{static_cast<char>(bit_depth),
                                       static_cast<char>(color_type), 0, 0,
                                       interlaced ? '\1' : '\0'});
}

// A file of `header`, other `chunks`, and one IDAT of `scanlines`, each of
// which begins with its filter.
std::string Png(const std::string& header, const std::string& chunks,
                const std::string& scanlines) {
  return kSignature + header + chunks + Chunk("IDAT", Deflated(scanlines)) +
         Chunk("IEND", "");
}

// One row of 8-bit gray: the smallest good file to put something else into.
std::string GrayRow(const std::string& chunks = "") {
  return Png(Header(3, 1, 8, PNG_COLOR_TYPE_GRAY), chunks,
             std::string("\0\1\2\3", 4));
}

// With libpng, 8 bits per channel.
std::string Written(const ImageShape& shape, const std::vector<uint8_t>& pixels,
                    bool interlaced) {
  std::string bytes;
  png_structp png =
      png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  png_set_write_fn(
      png, &bytes,
      [](png_structp writer, png_bytep data, size_t size) {
        static_cast<std::string*>(png_get_io_ptr(writer))
            ->append(reinterpret_cast<const char*>(data), size);
      },
      [](png_structp) {});
  png_set_IHDR(png, info, shape.width, shape.height, 8,
               shape.channels == 3 ? PNG_COLOR_TYPE_RGB : PNG_COLOR_TYPE_GRAY,
               interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_write_info(png, info);
  std::vector<png_bytep> rows;
  for (int y = 0; y < shape.height; ++y) {
    rows.push_back(const_cast<png_bytep>(pixels.data()) +
                   y * shape.width * shape.channels);
  }
  png_write_image(png, rows.data());
  png_write_end(png, info);
  png_destroy_write_struct(&png, &info);
  return bytes;
}

std::vector<uint8_t> Noise(size_t size) {
  std::mt19937 random(1);
  std::vector<uint8_t> bytes(size);
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
  return bytes;
}

// Where the chunk that begins at `at` ends; the end of the file if it does not.
size_t ChunkEnd(const std::string& png, size_t at) {
  if (png.size() - at < 12) return png.size();
  const auto* length = reinterpret_cast<png_const_bytep>(png.data() + at);
  const uint32_t size = png_get_uint_32(length);
  return size > png.size() - at - 12 ? png.size() : at + size + 12;
}

// Gives every whole chunk the checksum of what it holds now, without which a
// mutated file would get no further than that.
std::string Mended(std::string png) {
  for (size_t at = 8; at < png.size();) {
    const size_t end = ChunkEnd(png, at);
    if (end - at >= 12) {
      png.replace(end - 4, 4,
                  BigEndian(Checksum(png.substr(at + 4, end - at - 8))));
    }
    at = end;
  }
  return png;
}

std::vector<uint8_t> Pixels(const std::string& png) {
  const absl::StatusOr<Picture> picture = DecodePng(png);
  EXPECT_TRUE(picture.ok()) << picture.status();
  return picture.ok() ? picture->pixels : std::vector<uint8_t>();
}

void ExpectRefused(const absl::StatusOr<Picture>& picture,
                   const std::string& reason) {
  EXPECT_EQ(picture.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(picture.status().message()), HasSubstr(reason));
}

TEST(PngDecoderTest, ReadsGrayAndRgbOfEverySmallSizeInterlacedOrNot) {
  for (const int channels : {1, 3}) {
    for (int height = 1; height <= 10; ++height) {
      for (int width = 1; width <= 10; ++width) {
        const ImageShape shape{channels, height, width};
        const std::vector<uint8_t> pixels =
            Noise(static_cast<size_t>(channels * height * width));
        for (const bool interlaced : {false, true}) {
          const absl::StatusOr<Picture> picture =
              DecodePng(Written(shape, pixels, interlaced));
          ASSERT_TRUE(picture.ok()) << picture.status() << ' ' << width << 'x'
                                    << height << ' ' << interlaced;
          EXPECT_EQ(picture->shape, shape);
          EXPECT_EQ(picture->pixels, pixels);
        }
      }
    }
  }
}

TEST(PngDecoderTest, ReadsTheLargestPictureAllowed) {
  const ImageShape shape{3, 2048, 2048};
  const std::vector<uint8_t> pixels(size_t{3} * 2048 * 2048, 200);
  EXPECT_EQ(Pixels(Written(shape, pixels, true)), pixels);
}

TEST(PngDecoderTest, WidensFewerThanEightBits) {
  EXPECT_THAT(Pixels(Png(Header(2, 1, 1, PNG_COLOR_TYPE_GRAY), "",
                         std::string("\0\x40", 2))),
              ElementsAre(0, 255));
  EXPECT_THAT(Pixels(Png(Header(4, 1, 2, PNG_COLOR_TYPE_GRAY), "",
                         std::string("\0\x1b", 2))),
              ElementsAre(0, 85, 170, 255));
  EXPECT_THAT(Pixels(Png(Header(3, 1, 4, PNG_COLOR_TYPE_GRAY), "",
                         std::string("\0\x01\xf0", 3))),
              ElementsAre(0, 17, 255));
}

TEST(PngDecoderTest, RoundsSixteenBitsToTheNearestOfEight) {
  std::string scanline(1, '\0');
  for (int i = 0; i < 2048; ++i) {
    const int value = i * 32 + 17;
    scanline += {static_cast<char>(value >> 8), static_cast<char>(value)};
  }
  const std::vector<uint8_t> pixels =
      Pixels(Png(Header(2048, 1, 16, PNG_COLOR_TYPE_GRAY), "", scanline));
  ASSERT_EQ(pixels.size(), 2048u);
  for (int i = 0; i < 2048; ++i) {
    EXPECT_EQ(pixels[i], (i * 32 + 17 + 128) / 257) << i;
  }
}

TEST(PngDecoderTest, ComposesEveryAlphaOverBlack) {
  std::string gray;
  std::string rgb;
  for (int value = 0; value < 256; ++value) {
    gray.push_back('\0');
    rgb.push_back('\0');
    for (int alpha = 0; alpha < 256; ++alpha) {
      const char v = static_cast<char>(value);
      const char inverse = static_cast<char>(255 - value);
      const char a = static_cast<char>(alpha);
      gray += {v, a};
      rgb += {v, '\xff', inverse, a};
    }
  }
  const std::vector<uint8_t> from_gray =
      Pixels(Png(Header(256, 256, 8, PNG_COLOR_TYPE_GRAY_ALPHA), "", gray));
  const std::vector<uint8_t> from_rgb =
      Pixels(Png(Header(256, 256, 8, PNG_COLOR_TYPE_RGB_ALPHA), "", rgb));
  ASSERT_EQ(from_gray.size(), 65536u);
  ASSERT_EQ(from_rgb.size(), 3 * 65536u);
  for (int value = 0; value < 256; ++value) {
    for (int alpha = 0; alpha < 256; ++alpha) {
      const size_t i = value * 256 + alpha;
      EXPECT_EQ(from_gray[i], (value * alpha + 127) / 255);
      EXPECT_EQ(from_rgb[3 * i], (value * alpha + 127) / 255);
      EXPECT_EQ(from_rgb[3 * i + 1], alpha);
      EXPECT_EQ(from_rgb[3 * i + 2], ((255 - value) * alpha + 127) / 255);
    }
  }
}

TEST(PngDecoderTest, ComposesSixteenBitAlphaBeforeItRounds) {
  // 0x8000 * 0x8000 / 0xffff = 0x4000, which is 63.75 of 255.
  EXPECT_THAT(Pixels(Png(Header(1, 1, 16, PNG_COLOR_TYPE_GRAY_ALPHA), "",
                         std::string("\0\x80\0\x80\0", 5))),
              ElementsAre(64));
}

TEST(PngDecoderTest, MakesTheTransparentColorBlack) {
  EXPECT_THAT(Pixels(GrayRow(Chunk("tRNS", std::string("\0\2", 2)))),
              ElementsAre(1, 0, 3));
  EXPECT_THAT(Pixels(Png(Header(2, 1, 8, PNG_COLOR_TYPE_RGB),
                         Chunk("tRNS", std::string("\0\4\0\5\0\6", 6)),
                         std::string("\0\4\5\7\4\5\6", 7))),
              ElementsAre(4, 5, 7, 0, 0, 0));
  // 16 bits are compared before they are rounded: both would be 1 of 255.
  EXPECT_THAT(Pixels(Png(Header(2, 1, 16, PNG_COLOR_TYPE_GRAY),
                         Chunk("tRNS", std::string("\1\1", 2)),
                         std::string("\0\1\1\1\2", 5))),
              ElementsAre(0, 1));
}

TEST(PngDecoderTest, LooksUpPalettes) {
  const std::string palette = Chunk("PLTE", "\x0a\x0b\x0c\x64\xc8\xff");
  const std::string header = Header(4, 1, 1, PNG_COLOR_TYPE_PALETTE);
  const std::string scanline("\0\x50", 2);
  const absl::StatusOr<Picture> picture =
      DecodePng(Png(header, palette, scanline));
  ASSERT_TRUE(picture.ok()) << picture.status();
  EXPECT_EQ(picture->shape, (ImageShape{3, 1, 4}));
  EXPECT_THAT(picture->pixels, ElementsAre(10, 11, 12, 100, 200, 255, 10, 11,
                                           12, 100, 200, 255));
  // The second color with alpha 51, a fifth.
  EXPECT_THAT(
      Pixels(Png(header, palette + Chunk("tRNS", "\xff\x33"), scanline)),
      ElementsAre(10, 11, 12, 20, 40, 51, 10, 11, 12, 20, 40, 51));
}

TEST(PngDecoderTest, IgnoresChunksThatOnlyDescribe) {
  const std::string bomb = Deflated(std::string(4 << 20, ' '), 9);
  const std::string iccp = std::string("name\0\0", 6) + bomb;
  const std::string itxt = std::string("key\0\1\0\0\0", 8) + bomb;
  for (const std::string& chunk :
       {Chunk("gAMA", BigEndian(45455)), Chunk("gAMA", "short"),
        Chunk("sBIT", "\1"), Chunk("sRGB", "\7"), Chunk("bKGD", "no"),
        Chunk("tEXt", std::string("key\0text", 8)), Chunk("iTXt", itxt),
        Chunk("zTXt", std::string("key\0\0", 5) + bomb), Chunk("iCCP", iccp),
        Chunk("sPLT", iccp), Chunk("eXIf", "?"), Chunk("acTL", "animated"),
        Chunk("prIv", std::string(500'000, 'x'))}) {
    EXPECT_THAT(Pixels(GrayRow(chunk)), ElementsAre(1, 2, 3));
    EXPECT_THAT(Pixels(GrayRow(chunk + chunk)), ElementsAre(1, 2, 3));
  }
}

TEST(PngDecoderTest, IgnoresWhatFollowsTheFile) {
  EXPECT_THAT(Pixels(GrayRow() + "more"), ElementsAre(1, 2, 3));
  EXPECT_THAT(Pixels(GrayRow() + GrayRow()), ElementsAre(1, 2, 3));
}

TEST(PngDecoderTest, RefusesFilesOverALimitByTheirHeaderAlone) {
  const auto header_of = [](uint32_t width, uint32_t height) {
    return kSignature + Header(width, height, 8, PNG_COLOR_TYPE_RGB);
  };
  ExpectRefused(DecodePng(header_of(2049, 1)),
                "2049x1 pixels, allowed are 1x1 to 2048x2048 and 4194304");
  ExpectRefused(DecodePng(header_of(1, 2049)), "1x2049 pixels");
  ExpectRefused(DecodePng(header_of(0, 7)), "0x7 pixels");
  ExpectRefused(DecodePng(header_of(7, 0)), "7x0 pixels");
  ExpectRefused(DecodePng(header_of(0xffffffff, 0xffffffff)),
                "4294967295x4294967295 pixels");
  ExpectRefused(DecodePng(GrayRow() + std::string(1 << 20, ' ')),
                "bytes, allowed are at most 1048576");

  PngLimits limits;
  limits.max_pixels = 2;
  ExpectRefused(DecodePng(GrayRow(), limits), "3x1 pixels");
  limits.max_pixels = 3;
  limits.max_width = 3;
  limits.max_height = 1;
  limits.max_bytes = GrayRow().size();
  EXPECT_TRUE(DecodePng(GrayRow(), limits).ok());
  --limits.max_bytes;
  ExpectRefused(DecodePng(GrayRow(), limits), "bytes, allowed are at most");
}

TEST(PngDecoderTest, ReadsTheShapeFromTheHeaderAlone) {
  const auto shape_of = [](int color_type) {
    return ReadPngShape(kSignature + Header(2048, 7, 8, color_type));
  };
  EXPECT_EQ(*shape_of(PNG_COLOR_TYPE_GRAY_ALPHA), (ImageShape{1, 7, 2048}));
  EXPECT_EQ(*shape_of(PNG_COLOR_TYPE_RGB), (ImageShape{3, 7, 2048}));
  EXPECT_EQ(*shape_of(PNG_COLOR_TYPE_PALETTE), (ImageShape{3, 7, 2048}));
  EXPECT_TRUE(absl::IsInvalidArgument(
      ReadPngShape(kSignature + Header(2049, 7, 8, PNG_COLOR_TYPE_RGB))
          .status()));
  EXPECT_TRUE(absl::IsInvalidArgument(ReadPngShape("no PNG").status()));
}

TEST(PngDecoderTest, RefusesWhatIsNoPng) {
  ExpectRefused(DecodePng(""), "these 0 bytes do not begin as a PNG file does");
  ExpectRefused(DecodePng("\xff\xd8\xff\xe0 a JPEG file, for example"),
                "do not begin as a PNG file does");
  ExpectRefused(DecodePng(kSignature + Chunk("IDAT", std::string(20, 'x'))),
                "a whole IHDR chunk");
  ExpectRefused(DecodePng(kSignature + Header(3, 1, 3, 0) + Chunk("IEND", "")),
                "bit depth");
  ExpectRefused(DecodePng(kSignature + Header(3, 1, 8, 5) + Chunk("IEND", "")),
                "color type");
}

TEST(PngDecoderTest, RefusesFilesThatEndEarly) {
  const ImageShape shape{3, 9, 9};
  for (const bool interlaced : {false, true}) {
    const std::string png =
        Written(shape, Noise(size_t{3} * 9 * 9), interlaced);
    for (size_t size = 0; size < png.size(); ++size) {
      EXPECT_TRUE(
          absl::IsInvalidArgument(DecodePng(png.substr(0, size)).status()))
          << size;
    }
  }
}

TEST(PngDecoderTest, RefusesTooFewRowsInACompleteStream) {
  const std::string two_rows("\0\1\2\3\0\4\5\6", 8);
  ExpectRefused(DecodePng(Png(Header(3, 3, 8, 0), "", two_rows)),
                "ends before the picture does");
  ExpectRefused(DecodePng(Png(Header(3, 3, 8, 0, true), "", two_rows)),
                "ends before the picture does");
  ExpectRefused(DecodePng(kSignature + Header(3, 1, 8, 0) + Chunk("IEND", "")),
                "");
}

TEST(PngDecoderTest, RefusesDataBehindTheLastRow) {
  // A decompression bomb is no other case: inflating ends at the last row.
  for (const size_t surplus : {1, 1000, 16 << 20}) {
    ExpectRefused(
        DecodePng(Png(Header(3, 1, 8, 0), "",
                      std::string("\0\1\2\3", 4) + std::string(surplus, '\0'))),
        "Extra compressed data");
  }
}

TEST(PngDecoderTest, RefusesWrongChecksumsInAnyChunk) {
  const std::string png = GrayRow(Chunk("tEXt", std::string("key\0text", 8)) +
                                  Chunk("tRNS", std::string("\0\2", 2)));
  int chunks = 0;
  for (size_t at = kSignature.size(); at < png.size(); ++chunks) {
    at = ChunkEnd(png, at);
    std::string damaged = png;
    damaged[at - 1] = static_cast<char>(damaged[at - 1] ^ 1);
    ExpectRefused(DecodePng(damaged), "CRC error");
    EXPECT_EQ(Mended(damaged), png);
  }
  EXPECT_EQ(chunks, 5);
}

TEST(PngDecoderTest, RefusesCriticalChunksThatItDoesNotKnow) {
  ExpectRefused(DecodePng(GrayRow(Chunk("NEWs", "data"))), "NEWs");
}

// Every result is fine except a crash, a leak or a hang.
TEST(PngDecoderTest, SurvivesMutatedFiles) {
  const std::string palette = Chunk("PLTE", std::string(48, 'p'));
  const std::string alphas = Chunk("tRNS", std::string(9, 'a'));
  const std::string stored =
      Chunk("IDAT", Deflated(std::string(9 * (1 + 9 * 8), '\2'), 0));
  const std::vector<uint8_t> noise = Noise(size_t{3} * 17 * 19);
  const std::vector<std::string> files = {
      Written({3, 17, 19}, noise, false),
      Written({3, 17, 19}, noise, true),
      Png(Header(9, 7, 4, PNG_COLOR_TYPE_PALETTE), palette + alphas,
          std::string(7 * 6, '\1')),
      GrayRow(Chunk("tRNS", std::string("\0\2", 2)) +
              Chunk("zTXt", std::string("k\0\0", 3) + Deflated("text"))),
      kSignature + Header(9, 9, 16, PNG_COLOR_TYPE_RGB_ALPHA) + stored +
          Chunk("IEND", ""),
  };
  std::mt19937 random(7);
  int decoded = 0;
  for (int round = 0; round < 20'000; ++round) {
    const std::string& file = files[round % files.size()];
    // In every other round with damage near the start.
    const size_t reach = round % 2 == 0 ? file.size() : 120;
    std::string mutated = MutatedBytes(file, reach, &random);
    if (round % 4 != 0) mutated = Mended(std::move(mutated));
    const absl::StatusOr<Picture> picture = DecodePng(mutated);
    if (picture.ok()) {
      ++decoded;
      const ImageShape& shape = picture->shape;
      EXPECT_EQ(picture->pixels.size(), shape.numel());
    } else {
      EXPECT_TRUE(absl::IsInvalidArgument(picture.status()))
          << picture.status();
    }
  }
  // Some do get through to the pixels.
  EXPECT_GT(decoded, 100);
}

}  // namespace
}  // namespace ddgan
