#include "server/service_manager.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "tests/fakes/temporary_folder.h"
#include "tests/server/notify_socket.h"

namespace ddgan {
namespace {

using ::testing::HasSubstr;

TEST(ServiceManagerTest, TellsThatItServesAndThatItStops) {
  const TemporaryFolder folder;
  // The other one is no file; the process's number makes it this test's own.
  for (const std::string& name :
       {(folder.path() / "notify").string(),
        absl::StrCat("@ddgan/service_manager_test/", getpid())}) {
    const NotifySocket socket(name);
    const ServiceManager manager(name);
    EXPECT_TRUE(manager.Ready("serving\non 1").ok());
    EXPECT_EQ(socket.Receive(), "READY=1\nSTATUS=serving on 1");
    EXPECT_TRUE(manager.Stopping(absl::Milliseconds(1500)).ok());
    EXPECT_EQ(socket.Receive(),
              "STOPPING=1\nSTATUS=Finishing accepted work\n"
              "EXTEND_TIMEOUT_USEC=1500000");
  }
}

TEST(ServiceManagerTest, WithoutAManagerThereIsNothingToTell) {
  EXPECT_TRUE(ServiceManager("").Ready("serving").ok());
}

TEST(ServiceManagerTest, SaysWhomItCouldNotTell) {
  const TemporaryFolder folder;
  const std::string nobody = (folder.path() / "nobody").string();
  absl::Status status = ServiceManager(nobody).Ready("serving");
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr(nobody));
  for (const std::string& socket :
       {std::string("vsock:2:9"), "/" + std::string(200, 'x')}) {
    status = ServiceManager(socket).Stopping(absl::Seconds(1));
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), HasSubstr(socket));
  }
}

}  // namespace
}  // namespace ddgan
