#include "engine/base/control_group.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ddgan {
namespace {

using ::testing::ElementsAre;

TEST(ControlGroupTest, FoldersAreThoseOfTheGroupAndAllAroundIt) {
  EXPECT_THAT(ControlGroupFolders("0::/system.slice/ddgan-server.service\n"),
              ElementsAre("/sys/fs/cgroup/system.slice/ddgan-server.service",
                          "/sys/fs/cgroup/system.slice", "/sys/fs/cgroup"));
}

TEST(ControlGroupTest, ElseThereIsTheRootAlone) {
  for (const char* text :
       {"0::/\n", "", "0::/../../elsewhere\n", "12:memory:/docker/1\n"}) {
    EXPECT_THAT(ControlGroupFolders(text), ElementsAre("/sys/fs/cgroup"))
        << text;
  }
}

TEST(ControlGroupTest, WhatIsNotThereIsLeftOut) {
  EXPECT_THAT(ReadControlGroups("no.such.limit"), ElementsAre());
}

}  // namespace
}  // namespace ddgan
