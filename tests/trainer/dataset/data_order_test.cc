#include "trainer/dataset/data_order.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <set>

namespace ddgan {
namespace {

using ::testing::ElementsAre;

TEST(RowsOfSlotTest, OneSlotHasTheBatchInOrder) {
  EXPECT_THAT(RowsOfSlot(8, 1, 0), ElementsAre(0, 1, 2, 3, 4, 5, 6, 7));
}

TEST(RowsOfSlotTest, ASlotHasWholeGroups) {
  // Of 16 samples, group m is m, m + 4, m + 8, m + 12.
  EXPECT_THAT(RowsOfSlot(16, 2, 0), ElementsAre(0, 1, 4, 5, 8, 9, 12, 13));
  EXPECT_THAT(RowsOfSlot(16, 2, 1), ElementsAre(2, 3, 6, 7, 10, 11, 14, 15));
}

TEST(RowsOfSlotTest, SmallSlotsShareTheBatch) {
  EXPECT_THAT(RowsOfSlot(4, 2, 1), ElementsAre(1, 3));
  EXPECT_THAT(RowsOfSlot(3, 3, 2), ElementsAre(2));
}

// The groups that the discriminator forms within a slot are groups that it
// forms in the whole batch, and every row is some slot's.
TEST(RowsOfSlotTest, GroupsAreThoseOfTheWholeBatch) {
  for (const int batch : {8, 16, 24, 32, 64, 256}) {
    for (const int slots : {1, 2, 3, 4, 8, 16}) {
      if (batch % slots != 0 || batch / slots % 4 != 0) continue;
      std::set<uint32_t> seen;
      for (int slot = 0; slot < slots; ++slot) {
        const std::vector<uint32_t> rows = RowsOfSlot(batch, slots, slot);
        ASSERT_EQ(rows.size(), static_cast<size_t>(batch / slots));
        seen.insert(rows.begin(), rows.end());
        const size_t groups = rows.size() / 4;
        for (size_t m = 0; m < groups; ++m) {
          for (size_t k = 1; k < 4; ++k) {
            EXPECT_EQ(rows[m + k * groups] - rows[m], k * batch / 4);
          }
        }
      }
      EXPECT_EQ(seen.size(), static_cast<size_t>(batch));
    }
  }
}

// As networks without such groups have: every row is one slot's.
TEST(RowsOfSlotTest, SlotsOfAnySizeHaveAllRows) {
  for (const int batch : {6, 10, 30, 510}) {
    for (const int slots : {1, 2, 3, 5}) {
      if (batch % slots != 0) continue;
      std::set<uint32_t> seen;
      for (int slot = 0; slot < slots; ++slot) {
        const std::vector<uint32_t> rows = RowsOfSlot(batch, slots, slot);
        EXPECT_EQ(rows.size(), static_cast<size_t>(batch / slots));
        seen.insert(rows.begin(), rows.end());
      }
      EXPECT_EQ(seen.size(), static_cast<size_t>(batch)) << slots;
      EXPECT_EQ(*seen.rbegin(), static_cast<uint32_t>(batch - 1));
    }
  }
}

TEST(RowsOfProcessTest, AreThoseOfItsMicroBatches) {
  EXPECT_THAT(RowsOfProcess(16, 2, 0, 2),
              ElementsAre(0, 4, 8, 12, 1, 5, 9, 13));
  EXPECT_EQ(RowsOfProcess(16, 2, 1, 1), RowsOfSlot(16, 2, 1));
}

TEST(EpochOrderTest, IsAPermutationOfSeedAndEpoch) {
  const std::vector<uint32_t> order = EpochOrder(7, 3, 100);
  std::vector<uint32_t> sorted = order;
  std::sort(sorted.begin(), sorted.end());
  std::vector<uint32_t> all(100);
  std::iota(all.begin(), all.end(), 0u);
  EXPECT_EQ(sorted, all);
  EXPECT_EQ(order, EpochOrder(7, 3, 100));
  EXPECT_NE(order, EpochOrder(7, 4, 100));
  EXPECT_NE(order, EpochOrder(8, 3, 100));
}

TEST(EpochOrderTest, IsTheSameInMemoryThatWasUsed) {
  std::vector<uint32_t> order = {9, 9, 9};
  EpochOrder(7, 3, 100, &order);
  EXPECT_EQ(order, EpochOrder(7, 3, 100));
}

TEST(MirrorsRowTest, DependsOnEachArgument) {
  const auto pattern = [](uint64_t seed, int64_t step, uint32_t row) {
    std::vector<bool> mirrored;
    for (uint32_t i = 0; i < 64; ++i) {
      mirrored.push_back(MirrorsRow(seed, step, row + i));
    }
    return mirrored;
  };
  const std::vector<bool> base = pattern(1, 2, 3);
  EXPECT_EQ(base, pattern(1, 2, 3));
  EXPECT_NE(base, pattern(2, 2, 3));
  EXPECT_NE(base, pattern(uint64_t{1} << 32 | 1, 2, 3));
  EXPECT_NE(base, pattern(1, 3, 3));
  EXPECT_NE(base, pattern(1, (int64_t{1} << 32) + 2, 3));
  EXPECT_NE(base, pattern(1, 2, 100));
}

}  // namespace
}  // namespace ddgan
