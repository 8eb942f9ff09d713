#include "engine/lanes/gpu/step_shapes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <random>
#include <vector>

namespace ddgan {
namespace {

using ::testing::ElementsAre;

// The shapes that `rows` rows run as.
std::vector<int> ShapesOf(const std::vector<StepShape>& shapes, int rows) {
  const std::vector<int> first = CheapestFirstShapes(shapes, rows);
  std::vector<int> run;
  while (rows > 0) {
    run.push_back(shapes[first[rows]].rows);
    rows -= run.back();
  }
  return run;
}

TEST(ShapesToRecordTest, AreFourTimesAsLargeEach) {
  EXPECT_THAT(ShapesToRecord(64, 16), ElementsAre(1, 4, 16, 64));
  EXPECT_THAT(ShapesToRecord(63, 16), ElementsAre(1, 4, 16));
  EXPECT_THAT(ShapesToRecord(256, 16), ElementsAre(1, 4, 16, 64, 256));
  EXPECT_THAT(ShapesToRecord(1, 1), ElementsAre(1));
}

TEST(ShapesToRecordTest, ThePinnedOneIsAmongThem) {
  EXPECT_THAT(ShapesToRecord(64, 24), ElementsAre(1, 4, 16, 24, 64));
  EXPECT_THAT(ShapesToRecord(2, 64), ElementsAre(1, 64));
}

TEST(CheapestFirstShapesTest, WhereRowsCostNothingOneShapeIsBest) {
  const std::vector<StepShape> shapes = {{1, 1.0}, {4, 1.1}, {16, 1.2}};
  EXPECT_THAT(ShapesOf(shapes, 1), ElementsAre(1));
  EXPECT_THAT(ShapesOf(shapes, 2), ElementsAre(4));
  EXPECT_THAT(ShapesOf(shapes, 5), ElementsAre(16));
  EXPECT_THAT(ShapesOf(shapes, 16), ElementsAre(16));
  EXPECT_THAT(ShapesOf(shapes, 17), ElementsAre(16, 1));
  EXPECT_THAT(ShapesOf(shapes, 40), ElementsAre(16, 16, 16));
}

TEST(CheapestFirstShapesTest, WhereRowsCostAllNothingIsPadded) {
  const std::vector<StepShape> shapes = {{1, 1}, {4, 4}, {16, 16}};
  EXPECT_THAT(ShapesOf(shapes, 3), ElementsAre(1, 1, 1));
  EXPECT_THAT(ShapesOf(shapes, 22), ElementsAre(16, 4, 1, 1));
}

TEST(CheapestFirstShapesTest, OfEqualsTheFewestRowsAndThenTheLargest) {
  EXPECT_THAT(ShapesOf({{1, 5}, {4, 5}, {16, 5}}, 3), ElementsAre(4));
  EXPECT_THAT(ShapesOf({{1, 1}, {4, 4}}, 4), ElementsAre(4));
}

TEST(CheapestFirstShapesTest, OneShapeIsRepeated) {
  EXPECT_THAT(ShapesOf({{16, 3}}, 33), ElementsAre(16, 16, 16));
}

// Against every way to put a batch together.
TEST(CheapestFirstShapesTest, NothingIsCheaper) {
  std::mt19937 random(3);
  std::uniform_real_distribution<double> cost(0.1, 10);
  for (int trial = 0; trial < 200; ++trial) {
    std::vector<StepShape> shapes;
    for (const int rows : {1, 3, 4, 7, 16}) {
      if (random() % 2 == 0) shapes.push_back({rows, cost(random)});
    }
    if (shapes.empty()) continue;
    constexpr int kRows = 40;
    std::vector<double> cheapest(kRows + 1,
                                 std::numeric_limits<double>::infinity());
    cheapest[0] = 0;
    for (int n = 0; n < kRows; ++n) {
      for (const StepShape& shape : shapes) {
        double& then = cheapest[std::min(kRows, n + shape.rows)];
        then = std::min(then, cheapest[n] + shape.cost);
      }
    }
    double actual = 0;
    int left = kRows;
    for (const int rows : ShapesOf(shapes, kRows)) {
      EXPECT_GT(left, 0);
      left -= rows;
      for (const StepShape& shape : shapes) {
        if (shape.rows == rows) actual += shape.cost;
      }
    }
    EXPECT_LE(left, 0);
    EXPECT_NEAR(actual, cheapest[kRows], 1e-9) << "trial " << trial;
  }
}

}  // namespace
}  // namespace ddgan
