#include "trainer/dataset/encoded/webp_decoder.h"

#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/fakes/mutated_bytes.h"
#include "tests/trainer/dataset/jpeg_file.h"
#include "tests/trainer/dataset/webp_file.h"

namespace ddgan {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr int64_t kMaxPixels = 10'000;

TEST(WebpDecoderTest, ReadsLosslessByteForByteAndLossyNearly) {
  const Picture picture = Gradient(3, 33, 70);
  const WebpPicture lossless =
      DecodeWebp(WebpFile(picture), kMaxPixels).value();
  EXPECT_EQ(lossless.picture.shape, picture.shape);
  EXPECT_EQ(lossless.picture.pixels, picture.pixels);
  EXPECT_FALSE(lossless.has_alpha);
  const WebpPicture lossy =
      DecodeWebp(WebpFile(picture, 95), kMaxPixels).value();
  ASSERT_EQ(lossy.picture.pixels.size(), picture.pixels.size());
  for (size_t i = 0; i < picture.pixels.size(); ++i) {
    ASSERT_LE(std::abs(int{lossy.picture.pixels[i]} - int{picture.pixels[i]}),
              12)
        << i;
  }
}

TEST(WebpDecoderTest, PutsTransparentPixelsOnBlack) {
  const std::string file = WebpFile(
      {200, 100, 50, 255, 200, 100, 50, 0, 200, 100, 50, 128}, 1, 3, 4);
  const WebpPicture read = DecodeWebp(file, kMaxPixels).value();
  EXPECT_TRUE(read.has_alpha);
  EXPECT_THAT(read.picture.pixels,
              ElementsAre(200, 100, 50, 0, 0, 0, 100, 50, 25));
}

TEST(WebpDecoderTest, RefusesLargeSizesByName) {
  const absl::Status status =
      DecodeWebp(WebpFile(Gradient(3, 101, 100)), kMaxPixels).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("100x101 pixels, allowed are 10000 in all"));
}

// The header's flag of animation is enough to tell.
TEST(WebpDecoderTest, RefusesAnimationsByName) {
  const std::string file(
      "RIFF\x1a\0\0\0WEBPVP8X\x0a\0\0\0\x02\0\0\0\x07\0\0\x07\0\0ANIM", 34);
  const absl::Status status = DecodeWebp(file, kMaxPixels).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("animated"));
}

TEST(WebpDecoderTest, RefusesFilesCutAtAnyPlace) {
  for (const float quality : {0.0f, 90.0f}) {
    const std::string file = WebpFile(Gradient(3, 24, 24), quality);
    // The last byte may be a pad of the format.
    for (size_t size = 0; size + 1 < file.size(); ++size) {
      ASSERT_TRUE(absl::IsInvalidArgument(
          DecodeWebp(file.substr(0, size), kMaxPixels).status()))
          << size << " of " << file.size();
    }
  }
}

TEST(WebpDecoderTest, SurvivesDamage) {
  std::mt19937 random(1);
  for (const float quality : {0.0f, 90.0f}) {
    const std::string file = WebpFile(Gradient(3, 24, 24), quality);
    int refused = 0;
    for (int i = 0; i < 2000; ++i) {
      const absl::Status status =
          DecodeWebp(MutatedBytes(file, file.size(), &random), kMaxPixels)
              .status();
      if (status.ok()) continue;
      ++refused;
      EXPECT_TRUE(absl::IsInvalidArgument(status) ||
                  absl::IsFailedPrecondition(status))
          << status;
    }
    EXPECT_GT(refused, 100);
  }
}

}  // namespace
}  // namespace ddgan
