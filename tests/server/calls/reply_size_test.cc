#include "server/calls/reply_size.h"

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "engine/imaging/png_encoder.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/calls/png_provenance.h"

namespace ddgan {
namespace {

using ::testing::HasSubstr;

constexpr ImageShape kShape = {3, 32, 32};

TEST(ReplySizeTest, NoPngIsLargerThanIsBooked) {
  std::mt19937 random(1);
  for (const ImageShape& shape :
       {ImageShape{1, 1, 1}, ImageShape{1, 8, 8}, kShape, {3, 256, 256}}) {
    std::vector<uint8_t> noise(shape.numel());
    for (uint8_t& value : noise) value = static_cast<uint8_t>(random());
    PngOptions options;
    options.text =
        PngProvenance({std::string(128, '%'), INT64_MAX, std::string(64, 'd')},
                      16)
            .OfPreview({UINT64_MAX, UINT32_MAX}, 15);
    const auto png = EncodePng(noise, shape, options);
    ASSERT_TRUE(png.ok()) << png.status();
    EXPECT_LE(static_cast<int64_t>(png->size()),
              LargestImageBytes(shape, v1::OUTPUT_FORMAT_PNG));
  }
}

TEST(ReplySizeTest, AReplyIsThereTwiceAndAStreamPartly) {
  const int64_t image = LargestImageBytes(kShape, v1::OUTPUT_FORMAT_RAW8);
  EXPECT_GE(image, 3 * 32 * 32);
  EXPECT_EQ(LargestReply(kShape, {v1::OUTPUT_FORMAT_RAW8}, 0).per_image,
            2 * image);
  EXPECT_EQ(LargestReply(kShape,
                         {v1::OUTPUT_FORMAT_RAW8, v1::OUTPUT_FORMAT_FLOAT32}, 0)
                .per_image,
            2 * (image + LargestImageBytes(kShape, v1::OUTPUT_FORMAT_FLOAT32)));
  const ReplySize stream =
      LargestStream(kShape, v1::OUTPUT_FORMAT_RAW8, 100, false);
  EXPECT_EQ(stream.per_image, image);
  EXPECT_GE(stream.fixed, 3 * image + 100);
  EXPECT_EQ(LargestStream(kShape, v1::OUTPUT_FORMAT_RAW8, 0, true).per_image,
            2 * image);
  EXPECT_GE(LargestImageBytes(kShape, v1::OUTPUT_FORMAT_FLOAT32),
            4 * 3 * 32 * 32);
}

TEST(ReplySizeTest, NamesTheLargestCountThatFits) {
  ConvertedRequest request;
  request.generation.count = 10;
  request.formats = {v1::OUTPUT_FORMAT_RAW8};
  const ReplySize size = {.fixed = 1 << 20, .per_image = 1 << 20};
  EXPECT_TRUE(CheckFits(request, kShape, size, 11 << 20).ok());
  const absl::Status status = CheckFits(request, kShape, size, 10 << 20);
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("count: 10 is out of range [1, 9] for "
                        "OUTPUT_FORMAT_RAW8 images of 3x32x32"));
  // No count would do.
  EXPECT_THAT(
      std::string(CheckFits(request, kShape, size, (2 << 20) - 1).message()),
      HasSubstr("with one of its OUTPUT_FORMAT_RAW8 images of 3x32x32 takes "
                "2097152 bytes, and this server keeps at most 2097151 bytes"));
}

}  // namespace
}  // namespace ddgan
