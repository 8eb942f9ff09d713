#include "trainer/run/state_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/fakes/temporary_folder.h"

namespace ddgan {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(StateFilesTest, ListsStatesAloneNewestFirst) {
  const TemporaryFolder folder;
  for (const std::string& name :
       {StateFileName(9), StateFileName(100), StateFileName(25),
        std::string("state_007.safetensors"), std::string("state_.safetensors"),
        std::string("state_8.safetensors.tmp"), std::string("samples.png")}) {
    WriteBytes(folder.path() / name, "x");
  }
  EXPECT_THAT(*ListStates(folder.path()), ElementsAre(100, 25, 9));
}

TEST(StateFilesTest, AFolderThatIsNotThereHoldsNone) {
  const TemporaryFolder folder;
  EXPECT_THAT(*ListStates(folder.path() / "no"), IsEmpty());
}

TEST(StateFilesTest, WhatIsSetAsideIsNoStateAnyMore) {
  const TemporaryFolder folder;
  for (const int64_t steps : {5, 30})
    WriteBytes(folder.path() / StateFileName(steps), "x");
  ASSERT_TRUE(SetStateAside(folder.path(), 30).ok());
  EXPECT_THAT(*ListStates(folder.path()), ElementsAre(5));
  EXPECT_TRUE(
      std::filesystem::exists(folder.path() / "state_30.safetensors.damaged"));
  EXPECT_FALSE(SetStateAside(folder.path(), 30).ok());
}

TEST(StateFilesTest, TheLastTwoStay) {
  const TemporaryFolder folder;
  for (const int64_t steps : {5, 30, 10, 20})
    WriteBytes(folder.path() / StateFileName(steps), "x");
  WriteBytes(folder.path() / "metrics.jsonl", "x");
  // Of a process that was killed while it saved.
  const std::filesystem::path partial =
      folder.path() / ".state_40.safetensors.partial";
  WriteBytes(partial, "x");
  ASSERT_TRUE(RemoveOldStates(folder.path()).ok());
  EXPECT_FALSE(std::filesystem::exists(partial));
  EXPECT_THAT(*ListStates(folder.path()), ElementsAre(30, 20));
  EXPECT_TRUE(std::filesystem::exists(folder.path() / "metrics.jsonl"));
}

}  // namespace
}  // namespace ddgan
