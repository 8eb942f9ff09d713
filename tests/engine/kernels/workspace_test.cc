#include "engine/kernels/workspace.h"

#include <gtest/gtest.h>

#include <utility>

namespace ddgan::kernels {
namespace {

TEST(Workspace, MemoryIsUsedAgainOnceNobodyHasIt) {
  Workspace workspace;
  Workspace::Buffer a = workspace.Take(100);
  float* const memory = a.data();
  Workspace::Buffer copy = a;
  a = {};
  EXPECT_NE(workspace.Take(100).data(), memory);
  EXPECT_EQ(workspace.bytes(), 800);
  copy = {};
  const Workspace::Buffer b = workspace.Take(100), c = workspace.Take(100);
  EXPECT_NE(b.data(), c.data());
  EXPECT_EQ(workspace.bytes(), 800);
}

TEST(Workspace, TakesTheSmallestThatFits) {
  Workspace workspace;
  Workspace::Buffer large = workspace.Take(1000), small = workspace.Take(10);
  float* const memory = small.data();
  large = {};
  small = {};
  EXPECT_EQ(workspace.Take(10).data(), memory);
}

TEST(Workspace, ShrinkKeepsWhatIsInUse) {
  Workspace workspace;
  Workspace::Buffer kept = workspace.Take(10);
  workspace.Take(1000);
  workspace.Shrink();
  EXPECT_EQ(workspace.bytes(), 40);
  const Workspace::Buffer moved = std::move(kept);
  moved.data()[9] = 1;
  EXPECT_EQ(moved.data()[9], 1);
}

TEST(Workspace, BuffersStartAtACacheLine) {
  Workspace workspace;
  for (const int64_t count : {1, 17, 4097}) {
    EXPECT_EQ(reinterpret_cast<uintptr_t>(workspace.Take(count).data()) % 64,
              0u);
  }
}

}  // namespace
}  // namespace ddgan::kernels
