// The program that tests/client/installed/consumer/ builds from the installed
// library, against a fake server.
#include <cstdlib>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/fake_image_server.h"
#include "tests/fakes/temporary_folder.h"

namespace ddgan {
namespace {

TEST(InstalledClientTest, MakesAnImage) {
  const FakeImageServer server;
  const TemporaryFolder folder;
  ASSERT_EQ(std::system(absl::StrCat("cd '", folder.path().string(), "' && '",
                                     DDGAN_CONSUMER, "' ", server.address())
                            .c_str()),
            0);
  EXPECT_EQ(ReadBytes(folder.path() / "digit.png"),
            absl::StrCat("PNG of ", FakeImageServer::Pixels(1, 7, 0)));
  ASSERT_EQ(server.requests().size(), 1);
  EXPECT_EQ(server.requests()[0].seed(), 7);
}

}  // namespace
}  // namespace ddgan
