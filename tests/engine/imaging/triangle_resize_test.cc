// What the filter computes is tested by guide_picture_test, against PIL.
#include "engine/imaging/triangle_resize.h"

#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ddgan {
namespace {

using ::testing::ElementsAre;

constexpr int kHeight = 13;
constexpr int kWidth = 9;

float Value(int y, int x, int c) {
  return static_cast<float>((y * 31 + x * 7 + c * 101) % 256);
}

std::vector<float> Resized(const ResizedSide& y, const ResizedSide& x,
                           std::vector<int>* rows) {
  return TriangleResize(y, x, 3, [&](int i, std::vector<float>* row) {
    rows->push_back(i);
    row->clear();
    for (int j = 0; j < x.from; ++j) {
      for (int c = 0; c < 3; ++c) row->push_back(Value(i, j, c));
    }
  });
}

TEST(TriangleResizeTest, AWindowIsAPieceOfTheWhole) {
  for (const auto& [to_height, to_width] :
       {std::pair{5, 4}, std::pair{26, 20}, std::pair{13, 9}}) {
    std::vector<int> rows;
    const std::vector<float> whole =
        Resized({kHeight, to_height, 0, to_height},
                {kWidth, to_width, 0, to_width}, &rows);
    const std::vector<float> window =
        Resized({kHeight, to_height, 1, 3}, {kWidth, to_width, 2, 2}, &rows);
    ASSERT_EQ(window.size(), 3u * 2 * 3);
    for (int y = 0; y < 3; ++y) {
      for (int x = 0; x < 2; ++x) {
        for (int c = 0; c < 3; ++c) {
          EXPECT_EQ(window[(y * 2 + x) * 3 + c],
                    whole[((y + 1) * to_width + x + 2) * 3 + c]);
        }
      }
    }
  }
}

TEST(TriangleResizeTest, ReadsOnlyRowsThatCount) {
  std::vector<int> rows;
  // Row 2 of 4 is at 7.5 of 12 and reaches 3 rows to either side.
  Resized({12, 4, 2, 1}, {9, 9, 0, 9}, &rows);
  EXPECT_THAT(rows, ElementsAre(5, 6, 7, 8, 9));
}

// Of a picture of one row that is far wider than high, the whole would not fit
// into memory.
TEST(TriangleResizeTest, MakesNoMoreThanTheWindow) {
  std::vector<int> rows;
  const std::vector<float> window = Resized(
      {1, 256, 0, 256}, {16384, 16384 * 256, 16384 * 128 - 128, 256}, &rows);
  EXPECT_EQ(window.size(), size_t{256} * 256 * 3);
  EXPECT_THAT(rows, ElementsAre(0));
}

}  // namespace
}  // namespace ddgan
