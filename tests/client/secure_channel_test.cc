#include "client/secure_channel.h"

#include <string>

#include "client/image_client.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/fake_image_server.h"
#include "tests/fakes/temporary_folder.h"

namespace ddgan {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

void ExpectRefused(const absl::Status& status, const char* words) {
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(words));
}

TEST(SecureChannelTest, KnowsThisMachineByItsUsualNames) {
  for (const char* address :
       {"localhost:1", "LOCALHOST:1", "127.0.0.1:1", "127.9.9.9:1", "[::1]:1",
        "[0:0::1]:1", "[::ffff:127.0.0.1]:1", "[::ffff:127.9.9.9]:1",
        "ipv4:127.0.0.1:1", "ipv6:[::1]:1", "unix:/run/ddgan",
        "unix:///run/ddgan"}) {
    EXPECT_TRUE(IsLoopbackTarget(address)) << address;
  }
  // Whatever is not certain is not.
  for (const char* address :
       {"", "localhost", "localhost.example.org:1", "127.0.0.1.example.org:1",
        "10.0.0.1:1", "128.0.0.1:1", "[::2]:1", "[::ffff:10.0.0.1]:1", "[::1:1",
        "[127.0.0.1]:1", "ipv4:10.0.0.1:1", "0.0.0.0:1", "server:1",
        "dns:///localhost:1", "127.1:1"}) {
    EXPECT_FALSE(IsLoopbackTarget(address)) << address;
  }
}

TEST(SecureChannelTest, NamesAServerWithoutAPort) {
  for (const char* address :
       {"", "127.0.0.1:", "127.0.0.1", "localhost", ":50051", "h:x", "h:0",
        "h:65536", "h:-1", "[::1]", "[::1]:", "h: 80", "h:+80", "h:80 "}) {
    ExpectRefused(CheckConnectionSecurity(address, {}),
                  absl::StrCat("--server=", address,
                               ": must be HOST:PORT with "
                               "a port in [1, 65535]")
                      .c_str());
  }
  for (const char* address : {"http://localhost:50051", "https://h:443"}) {
    ExpectRefused(CheckConnectionSecurity(address, {}),
                  absl::StrCat("--server=", address,
                               ": must be HOST:PORT with a port in [1, 65535], "
                               "without http://")
                      .c_str());
  }
  for (const char* address : {"h:1", "h:65535", "[::1]:2", "unix:/run/ddgan",
                              "dns:///h:1", "ipv4:10.0.0.1:1"}) {
    EXPECT_TRUE(CheckServerAddress(address).ok()) << address;
  }
}

// The environment's proxy is another machine, to which this one's loopback
// means nothing.
TEST(SecureChannelTest, ReachesTheLoopbackWithoutTheEnvironmentsProxy) {
  ASSERT_EQ(setenv("grpc_proxy", "http://127.0.0.1:9", 1), 0);
  unsetenv("no_grpc_proxy");
  unsetenv("no_proxy");
  FakeImageServer server;
  const auto channel = OpenChannel(server.address(), {});
  ASSERT_TRUE(channel.ok()) << channel.status();
  const ImageClient client(*channel, {});
  v1::GenerateRequest request;
  request.set_count(1);
  EXPECT_TRUE(client.Generate(request).ok());
  unsetenv("grpc_proxy");
}

TEST(SecureChannelTest, SendsNoTokenInTheClearToAnotherMachine) {
  ConnectionSecurity security;
  security.token_file = "token";
  EXPECT_TRUE(CheckConnectionSecurity("localhost:1", security).ok());
  ExpectRefused(CheckConnectionSecurity("server:1", security),
                "everybody on the way to server:1 could read the token");
  security.tls = true;
  EXPECT_TRUE(CheckConnectionSecurity("server:1", security).ok());
  security.tls = false;
  security.token_without_tls = true;
  EXPECT_TRUE(CheckConnectionSecurity("server:1", security).ok());
}

TEST(SecureChannelTest, TlsFlagsGoTogether) {
  for (std::string ConnectionSecurity::*field :
       {&ConnectionSecurity::ca_file, &ConnectionSecurity::cert_file,
        &ConnectionSecurity::key_file, &ConnectionSecurity::server_name}) {
    ConnectionSecurity security;
    security.*field = "x";
    ExpectRefused(CheckConnectionSecurity("localhost:1", security),
                  "needs --tls");
  }
  ConnectionSecurity half;
  half.tls = true;
  half.cert_file = "cert.pem";
  ExpectRefused(CheckConnectionSecurity("localhost:1", half),
                "--tls_cert and --tls_key go together");
}

TEST(SecureChannelTest, NamesTheFlagOfAFileThatCannotBeUsed) {
  const TemporaryFolder folder;
  ConnectionSecurity security;
  security.tls = true;
  security.ca_file = (folder.path() / "missing").string();
  EXPECT_THAT(std::string(OpenChannel("h:1", security).status().message()),
              AllOf(HasSubstr("--tls_ca="), HasSubstr("No such file")));
  WriteBytes(folder.path() / "empty", "");
  security.ca_file = (folder.path() / "empty").string();
  ExpectRefused(OpenChannel("h:1", security).status(), "is empty");
}

TEST(SecureChannelTest, AFileHoldsOneTokenAndNoMessageShowsIt) {
  const TemporaryFolder folder;
  ConnectionSecurity security;
  security.token_file = (folder.path() / "token").string();
  for (const std::string& text :
       {std::string("\n"), std::string("s3cret and more"),
        std::string("s3cret\ns3cret"), std::string("s3cret\x01"),
        "s3cret" + std::string(512, 'x')}) {
    WriteBytes(folder.path() / "token", text);
    const absl::Status status = OpenChannel("localhost:1", security).status();
    ExpectRefused(status, "--token_file=");
    EXPECT_THAT(std::string(status.message()), Not(HasSubstr("s3cret")));
  }
}

TEST(SecureChannelTest, SendsTheTokenWithEveryCall) {
  const TemporaryFolder folder;
  WriteBytes(folder.path() / "token", "s3cret\n");
  ConnectionSecurity security;
  security.token_file = (folder.path() / "token").string();
  FakeImageServer server;
  const auto channel = OpenChannel(server.address(), security);
  ASSERT_TRUE(channel.ok()) << channel.status();
  const ImageClient client(*channel, {});
  v1::GenerateRequest request;
  request.set_count(1);
  ASSERT_TRUE(client.Generate(request).ok());
  EXPECT_EQ(server.last_authorization(), "Bearer s3cret");
}

}  // namespace
}  // namespace ddgan
