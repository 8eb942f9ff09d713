#include "server/calls/guide_conversion.h"

#include <zlib.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "engine/imaging/png_encoder.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ddgan {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A good guide: 2x1 gray pixels.
v1::Guide SmallGuide() {
  const std::vector<uint8_t> pixels = {7, 200};
  v1::Guide guide;
  guide.set_png(*EncodePng(pixels, {1, 1, 2}));
  guide.set_steps(3);
  return guide;
}

// Expects that `guide` is refused with a message that has all three parts.
void ExpectRefused(const v1::Guide& guide, const char* field, const char* value,
                   const char* range) {
  const absl::Status status = ConvertGuide(guide).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr(field), HasSubstr(value), HasSubstr(range)));
}

TEST(GuideConversionTest, DecodesThePictureAndRefusesOtherSizesUnlessAsked) {
  v1::Guide wire = SmallGuide();
  const absl::StatusOr<Guide> guide = ConvertGuide(wire);
  ASSERT_TRUE(guide.ok()) << guide.status();
  EXPECT_EQ(guide->picture, (ImageShape{1, 1, 2}));
  const absl::StatusOr<Picture> picture = DecodeGuide(wire);
  ASSERT_TRUE(picture.ok()) << picture.status();
  EXPECT_EQ(picture->shape, (ImageShape{1, 1, 2}));
  EXPECT_THAT(picture->pixels, ElementsAre(7, 200));
  EXPECT_EQ(guide->steps, 3);
  EXPECT_EQ(guide->fit, GuideFit::kRefuse);

  wire.set_fit(v1::GUIDE_FIT_REFUSE);
  EXPECT_EQ(ConvertGuide(wire)->fit, GuideFit::kRefuse);
  wire.set_fit(v1::GUIDE_FIT_RESIZE);
  EXPECT_EQ(ConvertGuide(wire)->fit, GuideFit::kResize);
}

// A PNG of 2x1 pixels of gray and alpha, whose IDAT is stored, not compressed.
std::string GrayAlphaPng(const std::string& pixels) {
  const auto number = [](uint32_t n) {
    return std::string{static_cast<char>(n >> 24), static_cast<char>(n >> 16),
                       static_cast<char>(n >> 8), static_cast<char>(n)};
  };
  const auto chunk = [&number](const std::string& typed) {
    const uint32_t sum = static_cast<uint32_t>(
        crc32(0, reinterpret_cast<const Bytef*>(typed.data()),
              static_cast<uInt>(typed.size())));
    return number(static_cast<uint32_t>(typed.size() - 4)) + typed +
           number(sum);
  };
  const std::string row = std::string(1, '\0') + pixels;
  std::string packed(compressBound(row.size()), '\0');
  uLongf size = packed.size();
  EXPECT_EQ(compress(reinterpret_cast<Bytef*>(packed.data()), &size,
                     reinterpret_cast<const Bytef*>(row.data()), row.size()),
            Z_OK);
  packed.resize(size);
  return "\x89PNG\r\n\x1a\n" +
         chunk("IHDR" + number(2) + number(1) +
               std::string("\x08\x04\0\0\0", 5)) +
         chunk("IDAT" + packed) + chunk("IEND");
}

TEST(GuideConversionTest, RefusesTransparencyThatLeavesOneColour) {
  v1::Guide guide = SmallGuide();
  // Black strokes on nothing: black on black.
  guide.set_png(GrayAlphaPng(std::string("\0\xff\0\0", 4)));
  const absl::Status status = DecodeGuide(guide).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("guide.png: "), HasSubstr("over black")));
  // White strokes on nothing.
  guide.set_png(GrayAlphaPng(std::string("\xff\xff\xff\0", 4)));
  const absl::StatusOr<Picture> strokes = DecodeGuide(guide);
  ASSERT_TRUE(strokes.ok()) << strokes.status();
  EXPECT_THAT(strokes->pixels, ElementsAre(255, 0));
  // Who sends one colour without transparency means it.
  guide.set_png(*EncodePng(std::vector<uint8_t>{9, 9}, {1, 1, 2}));
  EXPECT_TRUE(DecodeGuide(guide).ok());
}

TEST(GuideConversionTest, RefusesStepsThatNoModelHas) {
  v1::Guide guide = SmallGuide();
  guide.set_steps(0);
  ExpectRefused(guide, "guide.steps", "0", "[1, N]");
  // Would be negative as the engine's int.
  guide.set_steps(0x80000000);
  ExpectRefused(guide, "guide.steps", "2147483648", "[1, N]");
  // How many the model has is the engine's to know.
  guide.set_steps(1000);
  EXPECT_EQ(ConvertGuide(guide)->steps, 1000);
}

TEST(GuideConversionTest, RefusesFitsThatAreNotListed) {
  v1::Guide guide = SmallGuide();
  guide.set_fit(static_cast<v1::GuideFit>(3));
  ExpectRefused(guide, "guide.fit", "3", "[0, 2] of GuideFit");
  guide.set_fit(static_cast<v1::GuideFit>(-1));
  ExpectRefused(guide, "guide.fit", "-1", "[0, 2] of GuideFit");
}

TEST(GuideConversionTest, RefusesWhatIsNoPngWithinTheLimits) {
  v1::Guide guide = SmallGuide();
  const std::string png = guide.png();
  guide.clear_png();
  ExpectRefused(guide, "guide.png", "0 bytes", "as a PNG file does");
  guide.set_png(png.substr(0, 20));
  ExpectRefused(guide, "guide.png", "damaged", "IHDR");
  guide.set_png(png + std::string(1 << 20, ' '));
  ExpectRefused(guide, "guide.png", "bytes", "at most 1048576");
  const std::vector<uint8_t> pixels(2049);
  guide.set_png(*EncodePng(pixels, {1, 1, 2049}));
  ExpectRefused(guide, "guide.png", "2049x1", "2048x2048");
}

TEST(GuideConversionTest, FindsDamageBehindTheHeaderWhenItDecodes) {
  v1::Guide guide = SmallGuide();
  guide.mutable_png()->resize(guide.png().size() / 2);
  EXPECT_TRUE(ConvertGuide(guide).ok());
  const absl::Status status = DecodeGuide(guide).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("guide.png"), HasSubstr("damaged"),
                    HasSubstr("ends before")));
}

}  // namespace
}  // namespace ddgan
