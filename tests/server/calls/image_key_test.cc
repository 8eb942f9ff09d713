#include "server/calls/image_key.h"

#include <set>
#include <string>

#include "gtest/gtest.h"

namespace ddgan {
namespace {

// Whatever decides about an image's bytes tells its key from all others.
TEST(ImageKeysTest, ImagesThatMayDifferHaveDifferentKeys) {
  const ModelIdentity digits = {"digits", 3, "dd"};
  const GuideKey guide = {.sha256 = "ff", .steps = 2};
  const ImageNoise noise = {.seed = 7, .index = 1};
  const auto png = {v1::OUTPUT_FORMAT_PNG};
  const std::string key = ImageKeys(digits, png, std::nullopt).Of(noise);
  EXPECT_EQ(ImageKeys(digits, png, std::nullopt).Of(noise), key);
  const std::set<std::string> keys = {
      key, ImageKeys(digits, png, std::nullopt).Of({.seed = 8, .index = 1}),
      ImageKeys(digits, png, std::nullopt).Of({.seed = 7, .index = 0}),
      ImageKeys(digits, png, std::nullopt).Of({.seed = 71, .index = 1}),
      ImageKeys(digits, {v1::OUTPUT_FORMAT_RAW8}, std::nullopt).Of(noise),
      ImageKeys(digits, {v1::OUTPUT_FORMAT_PNG, v1::OUTPUT_FORMAT_RAW8},
                std::nullopt)
          .Of(noise),
      ImageKeys(digits, {v1::OUTPUT_FORMAT_RAW8, v1::OUTPUT_FORMAT_PNG},
                std::nullopt)
          .Of(noise),
      // The same files in another place say so in their PNGs.
      ImageKeys({"letters", 3, "dd"}, png, std::nullopt).Of(noise),
      ImageKeys({"digits", 4, "dd"}, png, std::nullopt).Of(noise),
      ImageKeys({"digits", 3, "de"}, png, std::nullopt).Of(noise),
      ImageKeys(digits, png, guide).Of(noise),
      ImageKeys(digits, png, GuideKey{.sha256 = "fe", .steps = 2}).Of(noise),
      ImageKeys(digits, png, GuideKey{.sha256 = "ff", .steps = 3}).Of(noise),
      ImageKeys(digits, png,
                GuideKey{.sha256 = "ff", .steps = 2, .fit = GuideFit::kResize})
          .Of(noise)};
  EXPECT_EQ(keys.size(), 14u);
}

}  // namespace
}  // namespace ddgan
