#include "server/calls/png_provenance.h"

#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ddgan {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

std::vector<std::pair<std::string, std::string>> Pairs(
    const std::vector<PngText>& text) {
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const PngText& entry : text) pairs.emplace_back(entry.key, entry.value);
  return pairs;
}

TEST(PngProvenanceTest, NamesAllThatTheImageCanBeMadeAgainFrom) {
  const std::string digest(64, 'd');
  const PngProvenance provenance({"mnist", 17, digest}, 4);
  EXPECT_THAT(
      Pairs(provenance.OfImage({std::numeric_limits<uint64_t>::max(), 5})),
      ElementsAre(Pair("Software", "ddgan-serve"), Pair("ddgan:model", "mnist"),
                  Pair("ddgan:version", "17"), Pair("ddgan:digest", digest),
                  Pair("ddgan:seed", "18446744073709551615"),
                  Pair("ddgan:index", "5"), Pair("ddgan:steps", "4")));
}

TEST(PngProvenanceTest, SaysOfAPreviewAlsoWhichStepItShows) {
  const PngProvenance provenance({"mnist", 17, ""}, 4);
  auto text = Pairs(provenance.OfPreview({7, 5}, 3));
  EXPECT_THAT(text.back(), Pair("ddgan:step", "3"));
  text.pop_back();
  EXPECT_EQ(text, Pairs(provenance.OfImage({7, 5})));
}

TEST(PngProvenanceTest, IsTextThatTheEncoderTakes) {
  PngOptions options;
  options.text = PngProvenance({"mnist.v2_a-b", 1, std::string(64, '0')}, 4)
                     .OfPreview({7, 0}, 1);
  const std::vector<uint8_t> pixels(16);
  const absl::StatusOr<std::string> png = EncodePng(pixels, {1, 4, 4}, options);
  ASSERT_TRUE(png.ok()) << png.status();
  EXPECT_THAT(*png,
              HasSubstr(std::string("tEXtddgan:model\0mnist.v2_a-b", 28)));
}

}  // namespace
}  // namespace ddgan
