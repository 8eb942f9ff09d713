#include "trainer/dataset/encoded/jpeg_decoder.h"

#include <cstdlib>
#include <random>
#include <string>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/fakes/mutated_bytes.h"
#include "tests/trainer/dataset/jpeg_file.h"

namespace ddgan {
namespace {

using ::testing::HasSubstr;

void ExpectNear(const Picture& found, const Picture& wanted) {
  ASSERT_EQ(found.shape, wanted.shape);
  ASSERT_EQ(found.pixels.size(), wanted.pixels.size());
  for (size_t i = 0; i < wanted.pixels.size(); ++i) {
    ASSERT_LE(std::abs(int{found.pixels[i]} - int{wanted.pixels[i]}), 4) << i;
  }
}

void ExpectRefused(const absl::StatusOr<Picture>& picture,
                   const std::string& reason,
                   absl::StatusCode code = absl::StatusCode::kInvalidArgument) {
  EXPECT_EQ(picture.status().code(), code) << picture.status();
  EXPECT_THAT(std::string(picture.status().message()), HasSubstr(reason));
}

// Height and width in the frame header: after FF C0 (or C2), the length and the
// number of bits.
std::string WithSize(std::string jpeg, int height, int width) {
  size_t at = jpeg.find("\xff\xc0");
  if (at == std::string::npos) at = jpeg.find("\xff\xc2");
  jpeg[at + 5] = static_cast<char>(height >> 8);
  jpeg[at + 6] = static_cast<char>(height);
  jpeg[at + 7] = static_cast<char>(width >> 8);
  jpeg[at + 8] = static_cast<char>(width);
  return jpeg;
}

TEST(JpegDecoderTest, ReadsGrayAndRgbBaselineAndProgressive) {
  for (const int channels : {1, 3}) {
    for (const bool progressive : {false, true}) {
      for (const auto& [height, width] :
           {std::pair{1, 1}, std::pair{16, 16}, std::pair{33, 70}}) {
        const Picture picture = Gradient(channels, height, width);
        const absl::StatusOr<Picture> read =
            DecodeJpeg(JpegFile(picture, progressive));
        ASSERT_TRUE(read.ok()) << read.status();
        ExpectNear(*read, picture);
      }
    }
  }
}

TEST(JpegDecoderTest, IgnoresWhatFollowsTheEnd) {
  EXPECT_TRUE(DecodeJpeg(JpegFile(Gradient(3, 8, 8)) + "more").ok());
}

TEST(JpegDecoderTest, RefusesCmykByName) {
  ExpectRefused(
      DecodeJpeg(JpegFile(std::vector<uint8_t>(8 * 8 * 4), 8, 8, JCS_CMYK)),
      "CMYK", absl::StatusCode::kFailedPrecondition);
}

TEST(JpegDecoderTest, RefusesWhatIsNoJpeg) {
  ExpectRefused(DecodeJpeg(""), "these 0 bytes");
  ExpectRefused(DecodeJpeg("\x89PNG\r\n\x1a\n"), "these 8 bytes");
  ExpectRefused(DecodeJpeg("\xff\xd8\xff"), "damaged JPEG file");
}

TEST(JpegDecoderTest, RefusesLargeSizesBeforeAnythingIsAllocated) {
  constexpr absl::StatusCode kTooLarge = absl::StatusCode::kFailedPrecondition;
  const std::string jpeg = JpegFile(Gradient(3, 8, 8));
  ExpectRefused(DecodeJpeg(WithSize(jpeg, 65500, 65500)),
                "65500x65500 pixels, allowed are 1x1 to 16384x16384 and "
                "33554432 in all, or 268435456 in one scan",
                kTooLarge);
  // Of a picture of several scans every coefficient would be held.
  const std::string progressive = JpegFile(Gradient(3, 8, 8), true);
  ExpectRefused(DecodeJpeg(WithSize(progressive, 1, 16385)), "16385x1 pixels",
                kTooLarge);
  ExpectRefused(DecodeJpeg(WithSize(progressive, 8192, 8192)),
                "8192x8192 pixels", kTooLarge);
  ExpectRefused(DecodeJpeg(WithSize(jpeg, 0, 8)), "damaged JPEG file");
}

TEST(JpegDecoderTest, DecodesLargePicturesAtReducedSize) {
  const std::string jpeg = JpegFile(Gradient(3, 64, 96));
  JpegLimits limits;
  limits.max_pixels = 64 * 96;
  EXPECT_EQ(DecodeJpeg(jpeg, limits)->shape, (ImageShape{3, 64, 96}));
  limits.max_pixels -= 1;
  const Picture half = DecodeJpeg(jpeg, limits).value();
  ExpectNear(half, Gradient(3, 32, 48));
  limits.max_side = 12;
  EXPECT_EQ(DecodeJpeg(jpeg, limits)->shape, (ImageShape{3, 8, 12}));
  limits.max_side = 11;
  ExpectRefused(DecodeJpeg(jpeg, limits), "96x64 pixels",
                absl::StatusCode::kFailedPrecondition);
  limits.max_side = 12;
  limits.max_file_pixels = 64 * 96 - 1;
  ExpectRefused(DecodeJpeg(jpeg, limits), "or 6143 in one scan",
                absl::StatusCode::kFailedPrecondition);
}

// What libjpeg warns of, but nothing is missing.
TEST(JpegDecoderTest, TakesPicturesWithStrayBytesForWhole) {
  for (const bool progressive : {false, true}) {
    const Picture picture = Gradient(3, 24, 24);
    const std::string jpeg = JpegFile(picture, progressive);
    for (const char* marker : {"\xff\xd9", "\xff\xda", "\xff\xc4"}) {
      std::string stray = jpeg;
      stray.insert(jpeg.rfind(marker), 7, '\0');
      const absl::StatusOr<Picture> read = DecodeJpeg(stray);
      ASSERT_TRUE(read.ok()) << read.status();
      EXPECT_EQ(read->pixels, DecodeJpeg(jpeg)->pixels);
    }
  }
}

TEST(JpegDecoderTest, TakesAPictureThatLacksItsEndMarkerForWhole) {
  const std::string jpeg = JpegFile(Gradient(3, 24, 24));
  for (const size_t missing : {1, 2}) {
    const absl::StatusOr<Picture> read =
        DecodeJpeg(jpeg.substr(0, jpeg.size() - missing));
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(read->pixels, DecodeJpeg(jpeg)->pixels);
  }
}

// A scan header and data that cost nothing, a thousand times.
TEST(JpegDecoderTest, RefusesThousandsOfScans) {
  const std::string jpeg = JpegFile(Gradient(1, 64, 64), true);
  const size_t end = jpeg.rfind("\xff\xd9");
  const size_t scan = jpeg.rfind("\xff\xda");
  std::string bomb = jpeg.substr(0, end);
  for (int i = 0; i < 1000; ++i) bomb += jpeg.substr(scan, end - scan);
  ExpectRefused(DecodeJpeg(bomb + jpeg.substr(end)), "damaged JPEG file");

  JpegLimits limits;
  limits.max_scans = 2;
  ExpectRefused(DecodeJpeg(jpeg, limits), "damaged JPEG file");
  EXPECT_TRUE(DecodeJpeg(jpeg).ok());
}

TEST(JpegDecoderTest, RefusesFilesCutAtAnyPlace) {
  for (const bool progressive : {false, true}) {
    const std::string jpeg = JpegFile(Gradient(3, 24, 24), progressive);
    // The end marker of two bytes is the end of a progressive picture alone.
    const size_t end = jpeg.size() - (progressive ? 0 : 2);
    for (size_t size = 0; size < end; ++size) {
      ASSERT_TRUE(
          absl::IsInvalidArgument(DecodeJpeg(jpeg.substr(0, size)).status()))
          << size << " of " << jpeg.size();
    }
  }
}

TEST(JpegDecoderTest, SurvivesDamage) {
  std::mt19937 random(1);
  for (const bool progressive : {false, true}) {
    const std::string jpeg = JpegFile(Gradient(3, 24, 24), progressive);
    for (int i = 0; i < 2000; ++i) {
      const absl::StatusOr<Picture> picture =
          DecodeJpeg(MutatedBytes(jpeg, jpeg.size(), &random));
      if (!picture.ok()) {
        EXPECT_TRUE(absl::IsInvalidArgument(picture.status()) ||
                    absl::IsFailedPrecondition(picture.status()))
            << picture.status();
      }
    }
  }
}

}  // namespace
}  // namespace ddgan
