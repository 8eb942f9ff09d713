#include "engine/imaging/to_rgb8_cpu.h"

#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ddgan {
namespace {

using ::testing::ElementsAre;

uint8_t Convert(float x) {
  uint8_t byte = 0;
  ToRgb8Cpu(absl::MakeSpan(&x, 1), {1, 1, 1}, absl::MakeSpan(&byte, 1));
  return byte;
}

TEST(ToRgb8CpuTest, MapsTheRangeOntoAllBytes) {
  EXPECT_EQ(Convert(-1.0f), 0);
  EXPECT_EQ(Convert(0.0f), 128);
  EXPECT_EQ(Convert(1.0f), 255);
  for (int byte = 0; byte < 256; ++byte) {
    EXPECT_EQ(Convert(static_cast<float>(byte) / 127.5f - 1.0f), byte);
  }
}

TEST(ToRgb8CpuTest, ClampsWhatIsOutsideTheRange) {
  EXPECT_EQ(Convert(1.0000001f), 255);
  EXPECT_EQ(Convert(300.0f), 255);
  EXPECT_EQ(Convert(-1.0000001f), 0);
  EXPECT_EQ(Convert(std::numeric_limits<float>::infinity()), 255);
  EXPECT_EQ(Convert(-std::numeric_limits<float>::infinity()), 0);
  EXPECT_EQ(Convert(std::numeric_limits<float>::quiet_NaN()), 0);
}

// The volatile variables keep each intermediate a rounded float32, whatever
// the compiler would like to fuse.
TEST(ToRgb8CpuTest, RoundsEveryOperationToFloat32) {
  std::vector<float> floats;
  for (int i = -100'000; i <= 100'000; ++i) {
    floats.push_back(static_cast<float>(i) / 99'991.0f);
  }
  for (int byte = 0; byte < 256; ++byte) {  // Where the byte changes.
    float x = (static_cast<float>(byte) + 0.5f) / 127.5f - 1.0f;
    for (int step = 0; step < 8; ++step) x = std::nextafterf(x, -2.0f);
    for (int step = 0; step < 16; ++step) {
      floats.push_back(x);
      x = std::nextafterf(x, 2.0f);
    }
  }
  for (const float x : floats) {
    volatile float value = std::fmin(std::fmax(x, -1.0f), 1.0f);
    value = value + 1.0f;
    value = value * 127.5f;
    value = value + 0.5f;
    ASSERT_EQ(Convert(x), static_cast<uint8_t>(std::floor(value))) << x;
  }
}

TEST(ToRgb8CpuTest, InterleavesThePlanesOfEveryImage) {
  // Two images of 3 channels, 1 row, 2 columns; the value is the byte wanted.
  const std::vector<int> bytes = {10, 11, 20, 21, 30, 31,  //
                                  40, 41, 50, 51, 60, 61};
  std::vector<float> planes;
  for (int byte : bytes) {
    planes.push_back(static_cast<float>(byte) / 127.5f - 1.0f);
  }
  std::vector<uint8_t> rows(planes.size());
  ToRgb8Cpu(planes, {3, 1, 2}, absl::MakeSpan(rows));
  EXPECT_THAT(rows, ElementsAre(10, 20, 30, 11, 21, 31,  //
                                40, 50, 60, 41, 51, 61));
}

}  // namespace
}  // namespace ddgan
