#include "trainer/dataset/gaussian_mixture.h"

#include <cmath>
#include <memory>
#include <numeric>
#include <set>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/diffusion/philox.h"
#include "engine/kernels/normal_noise.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ddgan {
namespace {

using ::testing::Each;

std::vector<uint32_t> AllRows(int batch) {
  std::vector<uint32_t> rows(batch);
  std::iota(rows.begin(), rows.end(), 0u);
  return rows;
}

std::vector<float> Draw(uint64_t seed, int batch, std::vector<uint32_t> rows,
                        int64_t step) {
  const auto source = GaussianMixture::Create({seed, batch, std::move(rows)});
  const auto points = (*source)->Batch(step);
  return {points->begin(), points->end()};
}

TEST(GaussianMixtureTest, HasTheModesOfTheLiterature) {
  std::set<std::pair<double, double>> means;
  for (int mode = 0; mode < kGaussianModes; ++mode)
    means.insert({GaussianMean(mode).x, GaussianMean(mode).y});
  std::set<std::pair<double, double>> wanted;
  for (const double x : {-4, -2, 0, 2, 4})
    for (const double y : {-4, -2, 0, 2, 4}) wanted.insert({x, y});
  EXPECT_EQ(means, wanted);
  EXPECT_EQ(GaussianMean(1).x, -2);
  EXPECT_EQ(GaussianMean(1).y, -4);
}

TEST(GaussianMixtureTest, GivesEveryModeItsShareAndSpread) {
  constexpr int kPoints = 50000;
  const std::vector<float> points = Draw(7, kPoints, AllRows(kPoints), 3);
  std::vector<int> count(kGaussianModes);
  double near_x = 0, near_y = 0, near_xy = 0;
  for (int i = 0; i < kPoints; ++i) {
    const double x = points[2 * i];
    const double y = points[2 * i + 1];
    const int column = static_cast<int>(std::lround(x / 2)) + 2;
    const int row = static_cast<int>(std::lround(y / 2)) + 2;
    ASSERT_TRUE(column >= 0 && column < 5 && row >= 0 && row < 5) << x << y;
    ++count[5 * row + column];
    const double dx = (x - (2 * column - 4)) / kGaussianStd;
    const double dy = (y - (2 * row - 4)) / kGaussianStd;
    near_x += dx * dx;
    near_y += dy * dy;
    near_xy += dx * dy;
  }
  // 2,000 expected, standard deviation 44.
  EXPECT_THAT(count,
              Each(::testing::AllOf(::testing::Gt(1800), ::testing::Lt(2200))));
  EXPECT_NEAR(near_x / kPoints, 1, 0.03);
  EXPECT_NEAR(near_y / kPoints, 1, 0.03);
  EXPECT_NEAR(near_xy / kPoints, 0, 0.03);
}

TEST(GaussianMixtureTest, APointDependsOnSeedStepAndRowAlone) {
  const std::vector<float> whole = Draw(7, 8, AllRows(8), 3);
  const std::vector<uint32_t> rows = {6, 1, 3};
  const auto source = GaussianMixture::Create({7, 8, rows});
  ASSERT_TRUE((*source)->Batch(9).ok());  // Steps asked before do not matter.
  const auto part = (*source)->Batch(3);
  ASSERT_TRUE(part.ok()) << part.status();
  ASSERT_EQ(part->size(), 6u);
  for (size_t i = 0; i < rows.size(); ++i) {
    EXPECT_EQ((*part)[2 * i], whole[2 * rows[i]]);
    EXPECT_EQ((*part)[2 * i + 1], whole[2 * rows[i] + 1]);
  }
  EXPECT_NE(Draw(8, 8, {0}, 3), Draw(7, 8, {0}, 3));
  EXPECT_NE(Draw(uint64_t{1} << 32 | 7, 8, {0}, 3), Draw(7, 8, {0}, 3));
  EXPECT_NE(Draw(7, 8, {0}, 4), Draw(7, 8, {0}, 3));
}

TEST(GaussianMixtureTest, DrawsFromAStreamOfItsOwn) {
  // The images' streams, of the same seed, step and row, are other normals.
  const std::vector<float> point = Draw(7, 1, {0}, 3);
  for (const NoiseStream stream :
       {NoiseStream::kInitial, NoiseStream::kLatent, NoiseStream::kPosterior,
        NoiseStream::kGuide}) {
    float noise[2];
    kernels::FillNormal({7, 0, 3, stream}, 2, noise);
    const double x = point[0];
    EXPECT_GT(std::abs(x - 2 * std::lround(x / 2) - kGaussianStd * noise[0]),
              1e-4);
  }
}

TEST(GaussianMixtureTest, IsABatchSource) {
  const auto source = GaussianMixture::Create({7, 4, {0, 1}});
  EXPECT_EQ((*source)->shape(), (ImageShape{2, 1, 1}));
  EXPECT_EQ((*source)->size(), 100000u);
  EXPECT_EQ((*source)->WaitSeconds(), 0);
  EXPECT_EQ((*source)->DamagedSamples(), 0);
  EXPECT_EQ((*source)->Batch(-1).status().code(),
            absl::StatusCode::kOutOfRange);
  EXPECT_TRUE((*source)->Batch((int64_t{1} << 32) - 1).ok());
  EXPECT_EQ((*source)->Batch(int64_t{1} << 32).status().code(),
            absl::StatusCode::kOutOfRange);
}

TEST(GaussianMixtureTest, RefusesRowsThatAreNotInTheBatch) {
  EXPECT_EQ(GaussianMixture::Create({7, 4, {0, 4}}).status(),
            absl::InvalidArgumentError("rows has 4, must be in [0, 3]"));
  EXPECT_EQ(
      GaussianMixture::Create({7, 4, {}}).status(),
      absl::InvalidArgumentError("rows is empty, must name at least one"));
  EXPECT_EQ(
      GaussianMixture::Create({7, 0, {0}}).status(),
      absl::InvalidArgumentError("global_batch is 0, must be in [1, 65536]"));
}

}  // namespace
}  // namespace ddgan
