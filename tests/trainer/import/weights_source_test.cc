#include "trainer/import/weights_source.h"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/fakes/temporary_folder.h"

namespace ddgan {
namespace {

using ::testing::HasSubstr;

float Widened(uint16_t bits, DType dtype) {
  std::string bytes(2, '\0');
  std::memcpy(bytes.data(), &bits, sizeof(bits));
  const std::string wide = WidenToFloat(bytes, dtype).value();
  float value;
  EXPECT_EQ(wide.size(), sizeof(value));
  std::memcpy(&value, wide.data(), sizeof(value));
  return value;
}

// By the definition of the format, for each of its values.
TEST(WeightsSourceTest, WidensEveryHalfExactly) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const int exponent = static_cast<int>(bits >> 10 & 0x1f);
    const int fraction = static_cast<int>(bits & 0x3ff);
    const float sign = (bits & 0x8000) != 0 ? -1.0f : 1.0f;
    const float value = Widened(static_cast<uint16_t>(bits), DType::kFloat16);
    if (exponent == 0x1f && fraction != 0) {
      ASSERT_TRUE(std::isnan(value)) << bits;
      continue;
    }
    const float wanted =
        exponent == 0x1f ? sign * INFINITY
        : exponent == 0  ? sign * std::ldexp(static_cast<float>(fraction), -24)
                        : sign * std::ldexp(static_cast<float>(1024 + fraction),
                                            exponent - 25);
    ASSERT_EQ(value, wanted) << bits;
    ASSERT_EQ(std::signbit(value), sign < 0) << bits;
  }
}

TEST(WeightsSourceTest, WidensBFloat16) {
  EXPECT_EQ(Widened(0x3f80, DType::kBFloat16), 1.0f);
  EXPECT_EQ(Widened(0xc0a0, DType::kBFloat16), -5.0f);
}

TEST(WeightsSourceTest, NamesFilesThatAreNeither) {
  const TemporaryFolder folder;
  const absl::Status missing =
      WeightsSource::Open(folder.path() / "missing").status();
  EXPECT_TRUE(absl::IsNotFound(missing)) << missing;
  WriteBytes(folder.path() / "x", "hello, world");
  EXPECT_THAT(
      std::string(WeightsSource::Open(folder.path() / "x").status().message()),
      HasSubstr("x: is no file of torch.save"));
  // A header longer than the file.
  WriteBytes(folder.path() / "y", std::string("\xff\xff\0\0\0\0\0\0{}", 10));
  EXPECT_THAT(
      std::string(WeightsSource::Open(folder.path() / "y").status().message()),
      HasSubstr("y: safetensors: the header ends at"));
}

}  // namespace
}  // namespace ddgan
