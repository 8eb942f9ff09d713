#include "engine/base/host_memory.h"

#include <gtest/gtest.h>

namespace ddgan {
namespace {

TEST(HostMemoryTest, ALimitIsANumberOrNone) {
  EXPECT_EQ(ParseMemoryLimit("1073741824\n"), int64_t{1} << 30);
  for (const char* text : {"max\n", "", "-1\n", "0", "99999999999999999999"}) {
    EXPECT_EQ(ParseMemoryLimit(text), std::nullopt) << text;
  }
}

TEST(HostMemoryTest, ThereIsSome) {
  EXPECT_GT(UsableHostMemory(), int64_t{1} << 20);
}

}  // namespace
}  // namespace ddgan
