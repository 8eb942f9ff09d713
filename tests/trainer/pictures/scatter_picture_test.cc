#include "trainer/pictures/scatter_picture.h"

#include <array>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "engine/imaging/png_decoder.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ddgan {
namespace {

using ::testing::ElementsAre;
using ::testing::StartsWith;

Picture Draw(absl::Span<const ScatterPanel> panels,
             const ScatterOptions& options = {}) {
  const auto png = EncodeScatterPicture(panels, options);
  EXPECT_TRUE(png.ok()) << png.status();
  PngLimits limits;
  limits.max_width = 20000;
  return DecodePng(*png, limits).value();
}

std::array<int, 3> At(const Picture& picture, int x, int y) {
  const uint8_t* pixel =
      picture.pixels.data() + 3 * (y * picture.shape.width + x);
  return {pixel[0], pixel[1], pixel[2]};
}

// Sum over a square of half side `half` around (x, y) of what is not white.
int64_t Ink(const Picture& picture, int x, int y, int half) {
  int64_t sum = 0;
  for (int row = y - half; row <= y + half; ++row) {
    for (int column = x - half; column <= x + half; ++column) {
      for (const int value : At(picture, column, row)) sum += 255 - value;
    }
  }
  return sum;
}

constexpr int kBorder = 12;
constexpr std::array<int, 3> kWhite = {255, 255, 255};

TEST(ScatterPictureTest, PutsPanelsSideBySideOnWhite) {
  ScatterOptions options;
  options.panel_size = 100;
  const std::vector<ScatterPanel> panels(3);
  const Picture picture = Draw(panels, options);
  EXPECT_EQ(picture.shape, (ImageShape{3, 124, 3 * 112 + 12}));
  EXPECT_EQ(At(picture, 0, 0), kWhite);
  EXPECT_THAT(At(picture, 12, 12), ElementsAre(200, 200, 200));  // The frame.
  EXPECT_THAT(At(picture, 12 + 112, 12), ElementsAre(200, 200, 200));
  EXPECT_EQ(At(picture, 11 + 112, 50), kWhite);
}

TEST(ScatterPictureTest, DrawsAPointWhereItIs) {
  // 512 pixels for 10 units: (3, 1) is at column 409.1, row 204.3.
  const std::vector<float> points = {3, 1};
  const Picture empty = Draw({ScatterPanel()});
  const Picture picture = Draw({{points, std::nullopt}});
  EXPECT_EQ(Ink(empty, kBorder + 409, kBorder + 204, 8), 0);
  EXPECT_GT(Ink(picture, kBorder + 409, kBorder + 204, 2), 500);
  const auto [red, green, blue] = At(picture, kBorder + 409, kBorder + 204);
  EXPECT_LT(red, green);
  EXPECT_LT(green, blue);
  // Nothing else changed.
  const int64_t change = Ink(picture, kBorder + 409, kBorder + 204, 4);
  EXPECT_EQ(Ink(picture, kBorder + 256, kBorder + 256, 256) -
                Ink(empty, kBorder + 256, kBorder + 256, 256),
            change);
}

TEST(ScatterPictureTest, RingsTheMeansAtThreeStandardDeviations) {
  const Picture picture = Draw({ScatterPanel()});
  // The mean (2, -2): column 358.4 - 0.5, row 358.4 - 0.5; radius 7.68 pixels.
  const int center = kBorder + 358;
  EXPECT_EQ(At(picture, center, center), kWhite);
  EXPECT_NE(At(picture, center + 8, center), kWhite);
  EXPECT_NE(At(picture, center, center - 8), kWhite);
  EXPECT_EQ(At(picture, center + 11, center), kWhite);
  EXPECT_EQ(At(picture, center + 4, center), kWhite);
}

TEST(ScatterPictureTest, ManyPointsAreDarkerThanFew) {
  const std::vector<float> one = {3, 1};
  std::vector<float> many;
  for (int i = 0; i < 500; ++i) many.insert(many.end(), {3, 1});
  EXPECT_LT(At(Draw({{many, std::nullopt}}), kBorder + 409, kBorder + 204)[2],
            At(Draw({{one, std::nullopt}}), kBorder + 409, kBorder + 204)[2]);
}

TEST(ScatterPictureTest, LeavesOutWhatIsNotInThePanel) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float inf = std::numeric_limits<float>::infinity();
  const std::vector<float> points = {nan, 0,     0,      nan, inf, 0,
                                     0,   -inf,  5.01f,  0,   0,   -5.01f,
                                     0,   3e38f, -3e38f, 0};
  EXPECT_EQ(Draw({{points, std::nullopt}}).pixels,
            Draw({ScatterPanel()}).pixels);
}

TEST(ScatterPictureTest, HoldsPointsAndRingsAtTheEdge) {
  const std::vector<float> points = {5, 5, -5, -5, 5, -5, -5, 5};
  ScatterOptions options;
  options.panel_size = 64;
  for (const double limit : {5.0, 4.0, 0.01, 1000.0}) {
    options.limit = limit;
    Draw({{points, std::numeric_limits<int64_t>::max()}}, options);
  }
}

TEST(ScatterPictureTest, WritesTheNumberInTheCorner) {
  const Picture plain = Draw({ScatterPanel()});
  const Picture one = Draw({{{}, 1}});
  const Picture seven = Draw({{{}, 7}});
  const Picture seventy = Draw({{{}, 70}});
  const auto corner = [](const Picture& picture) {
    return Ink(picture, kBorder + 20, kBorder + 15, 12);
  };
  EXPECT_EQ(corner(plain), 0);
  EXPECT_GT(corner(one), 0);
  EXPECT_NE(corner(one), corner(seven));
  EXPECT_GT(corner(seventy), corner(seven));
}

TEST(ScatterPictureTest, EqualInputGivesEqualBytes) {
  const std::vector<float> points = {0.1f, 0.2f, 0.3f, 0.4f};
  const std::vector<ScatterPanel> panels = {{points, 3}};
  const std::string png = EncodeScatterPicture(panels).value();
  EXPECT_THAT(png, StartsWith("\x89PNG"));
  EXPECT_EQ(EncodeScatterPicture(panels).value(), png);
}

TEST(ScatterPictureTest, NamesWhatIsOutOfRange) {
  const auto status = [](absl::Span<const ScatterPanel> panels,
                         const ScatterOptions& options = {}) {
    return EncodeScatterPicture(panels, options).status();
  };
  const auto invalid = [](const char* text) {
    return absl::InvalidArgumentError(text);
  };
  EXPECT_EQ(status({}), invalid("there are 0 panels, must be 1 to 16"));
  EXPECT_EQ(status(std::vector<ScatterPanel>(17)),
            invalid("there are 17 panels, must be 1 to 16"));
  EXPECT_EQ(status({ScatterPanel()}, {63, 5}),
            invalid("panel_size is 63, must be in [64, 2048]"));
  EXPECT_EQ(status({ScatterPanel()}, {512, 0}),
            invalid("limit is 0, must be in (0, 1000]"));
  EXPECT_EQ(
      status({ScatterPanel()}, {512, std::numeric_limits<double>::quiet_NaN()}),
      invalid("limit is nan, must be in (0, 1000]"));
  EXPECT_EQ(status({{{}, -1}}), invalid("label is -1, must not be negative"));
  const std::vector<float> half = {1, 2, 3};
  EXPECT_EQ(status({{half, std::nullopt}}),
            invalid("points has 3 numbers, must be an even number"));
}

}  // namespace
}  // namespace ddgan
