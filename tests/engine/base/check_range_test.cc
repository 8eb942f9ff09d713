#include "engine/base/check_range.h"

#include <cstdint>
#include <limits>

#include "gtest/gtest.h"

namespace ddgan {
namespace {

TEST(CheckRangeTest, TakesBothEnds) {
  EXPECT_TRUE(CheckRange("threads", 1, 1, 256).ok());
  EXPECT_TRUE(CheckRange("threads", 256, 1, 256).ok());
  EXPECT_TRUE(CheckRange("step", int64_t{1} << 40, 0, int64_t{1} << 40).ok());
}

TEST(CheckRangeTest, NamesOptionValueAndRange) {
  EXPECT_EQ(CheckRange("threads", 0, 1, 256),
            absl::InvalidArgumentError("threads is 0, must be in [1, 256]"));
  EXPECT_EQ(CheckRange("threads", 257, 1, 256),
            absl::InvalidArgumentError("threads is 257, must be in [1, 256]"));
  EXPECT_EQ(CheckRange("decay", 1.5, 0, 1),
            absl::InvalidArgumentError("decay is 1.5, must be in [0, 1]"));
}

TEST(CheckRangeTest, NoRangeHoldsNan) {
  EXPECT_FALSE(
      CheckRange("decay", std::numeric_limits<double>::quiet_NaN(), 0, 1).ok());
}

}  // namespace
}  // namespace ddgan
