#include "engine/checkpoint/version_path.h"

#include "gtest/gtest.h"

namespace ddgan {
namespace {

TEST(VersionPathTest, EndsInModelAndVersion) {
  for (const char* text : {"/models/mnist/12", "/models/mnist/12/",
                           "/models/./mnist/12", "/models/x/../mnist/12/."}) {
    const std::optional<VersionPath> path = ParseVersionPath(text);
    ASSERT_TRUE(path.has_value()) << text;
    EXPECT_EQ(path->model_root, "/models") << text;
    EXPECT_EQ(path->model, "mnist") << text;
    EXPECT_EQ(path->version, 12) << text;
  }
  EXPECT_EQ(ParseVersionPath("mnist/3")->model_root,
            std::filesystem::current_path());
}

TEST(VersionPathTest, NothingElseIsOne) {
  for (const char* text :
       {"", "/", "/12", "/models/mnist", "/models/mnist/latest",
        "/models/Mnist/12", "/models/mnist/012"}) {
    EXPECT_FALSE(ParseVersionPath(text).has_value()) << text;
  }
}

}  // namespace
}  // namespace ddgan
