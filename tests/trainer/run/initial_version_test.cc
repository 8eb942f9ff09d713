// Which version it is; that it is loaded: tests/trainer/training_loop_test.cc.
#include "trainer/run/initial_version.h"

#include <gtest/gtest.h>

#include <string>

namespace ddgan {
namespace {

absl::StatusOr<int64_t> VersionOf(const std::string& init_from) {
  TrainerOptions options;
  options.init_from = init_from;
  return InitialVersion(options);
}

TEST(InitialVersionTest, IsTheLastPartOfThePath) {
  EXPECT_EQ(VersionOf("").value(), 0);
  EXPECT_EQ(VersionOf("/nowhere/mnist/12060").value(), 12060);
  EXPECT_EQ(VersionOf("/nowhere/mnist/12060/").value(), 12060);
}

TEST(InitialVersionTest, RefusesAPathThatIsNoVersions) {
  for (const char* path : {"/", "/nowhere/mnist", "/nowhere/mnist/latest"}) {
    EXPECT_EQ(
        VersionOf(path).status(),
        absl::InvalidArgumentError(std::string("--init_from is '") + path +
                                   "': must end in <model>/<version>"));
  }
}

}  // namespace
}  // namespace ddgan
