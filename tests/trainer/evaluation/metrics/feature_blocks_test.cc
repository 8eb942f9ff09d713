#include "trainer/evaluation/metrics/feature_blocks.h"

#include <ATen/ops/zeros.h>

#include <cmath>
#include <vector>

#include "feature_fixture.h"
#include "gtest/gtest.h"

namespace ddgan {
namespace {

// Far from which cancellation is at its worst.
at::Tensor Origin(int64_t features) {
  return at::zeros({features}, at::TensorOptions(at::kDouble));
}

TEST(FeatureBlocksTest, ABlockEndsWhereTheRowsEnd) {
  const OwnedRows rows(2, std::vector<float>{0, 1, 2, 3, 4, 5});
  EXPECT_EQ(RowsInDouble(rows.view(), 0, 2).sizes().vec(),
            std::vector<int64_t>({2, 2}));
  const at::Tensor last = RowsInDouble(rows.view(), 2, 2);
  ASSERT_EQ(last.sizes().vec(), std::vector<int64_t>({1, 2}));
  EXPECT_EQ(last.const_data_ptr<double>()[1], 5);
}

TEST(FeatureBlocksTest, LongRowsMakeSmallBlocks) {
  EXPECT_EQ(BlockRows(1), 1024);
  EXPECT_EQ(BlockRows(1280), 1024);         // EfficientNet-Lite0's.
  EXPECT_EQ(BlockRows(3 * 256 * 256), 85);  // 128 MiB of doubles.
  EXPECT_EQ(BlockRows(3 * 4096 * 4096), 1);
}

TEST(FeatureBlocksTest, TheCentreIsTheMeanInFloat) {
  // More than a block of rows, and a mean that float32 has not.
  std::vector<float> values(static_cast<size_t>(3 * BlockRows(1)), 1);
  values[0] = 2;
  const OwnedRows rows(1, values);
  const at::Tensor centre = CentreOf(rows.view());
  EXPECT_EQ(centre.item<double>(), static_cast<float>(3073.0 / 3072));
  EXPECT_EQ(BlockOf(rows.view(), 0, 1, centre).rows.item<double>(),
            2 - centre.item<double>());
}

TEST(DistancesTest, AreThoseOfDoublesRoundedToFloat) {
  constexpr int64_t kRows = 50, kFeatures = 37;
  FixtureNumbers numbers;
  const OwnedRows a(kFeatures, numbers.Draw(kRows * kFeatures));
  const OwnedRows b(kFeatures, numbers.Draw(kRows * kFeatures));
  const at::Tensor centre = CentreOf(a.view());
  const at::Tensor distances = Distances(BlockOf(a.view(), 0, kRows, centre),
                                         BlockOf(b.view(), 0, kRows, centre));
  const float* const found = distances.const_data_ptr<float>();
  for (int64_t i = 0; i < kRows; ++i) {
    for (int64_t j = 0; j < kRows; ++j) {
      double square = 0;
      for (int64_t k = 0; k < kFeatures; ++k) {
        const double difference =
            static_cast<double>(a.view().values[i * kFeatures + k]) -
            b.view().values[j * kFeatures + k];
        square += difference * difference;
      }
      ASSERT_EQ(found[i * kRows + j], std::sqrt(static_cast<float>(square)))
          << i << ", " << j;
    }
  }
}

// |a|^2 + |b|^2 - 2 a . b alone leaves about 1e-4 of such numbers.
TEST(DistancesTest, AreExactlyZeroBetweenEqualRows) {
  constexpr int64_t kRows = 64, kFeatures = 100;
  FixtureNumbers numbers;
  const OwnedRows rows(kFeatures, numbers.Draw(kRows * kFeatures, 1000, 30000));
  const FeatureBlock block = BlockOf(rows.view(), 0, kRows, Origin(kFeatures));
  const at::Tensor distances = Distances(block, block);
  EXPECT_EQ(distances.diagonal().abs().sum().item<float>(), 0);
}

TEST(DistancesTest, KeepTheirDigitsBetweenRowsThatAreFarOut) {
  // Neighbours in float32 far from the origin: 2^-9 apart at 30000.
  const OwnedRows rows(
      2, std::vector<float>{30000, 30000, 30000.001953125f, 30000});
  const FeatureBlock block = BlockOf(rows.view(), 0, 2, Origin(2));
  const at::Tensor distances = Distances(block, block);
  EXPECT_EQ(distances.const_data_ptr<float>()[1], 0.001953125f);
  EXPECT_EQ(distances.const_data_ptr<float>()[2], 0.001953125f);
}

}  // namespace
}  // namespace ddgan
