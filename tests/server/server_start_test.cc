// How the server starts, and why it does not.
#include <grpcpp/grpcpp.h>
#include <httplib.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <sstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "ddgan/v1/model.grpc.pb.h"
#include "gmock/gmock.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "gtest/gtest.h"
#include "server/server.h"
#include "spdlog/sinks/ostream_sink.h"
#include "spdlog/spdlog.h"
#include "tests/fakes/fake_engine.h"
#include "tests/fakes/temporary_folder.h"

namespace ddgan {
namespace {

using grpc::health::v1::Health;
using grpc::health::v1::HealthCheckResponse;
using ::testing::AllOf;
using ::testing::HasSubstr;

class ServerStartTest : public ::testing::Test {
 protected:
  ServerStartTest() {
    options_.listen = {"127.0.0.1", 0};
    options_.http = {"127.0.0.1", 0};
  }

  absl::StatusOr<std::unique_ptr<Server>> Start() {
    return Server::Start(options_,
                         [](const EngineOptions&, EngineObserver*, Clock*) {
                           return std::make_unique<FakeEngine>();
                         });
  }

  ServerOptions options_;
};

TEST_F(ServerStartTest, SaysWhichFlagsPortIsInUse) {
  const auto first = Start();
  ASSERT_TRUE(first.ok()) << first.status();
  options_.listen.port = (*first)->grpc_port();
  absl::Status status = Start().status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_EQ(
      status.message(),
      absl::StrCat("--listen=127.0.0.1:", options_.listen.port, ": port ",
                   options_.listen.port, " is in use by another process"));
  options_.listen.port = 0;
  options_.http.port = (*first)->http_port();
  status = Start().status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("--http="), HasSubstr("is in use")));
}

TEST_F(ServerStartTest, PassesTheEnginesRefusalOn) {
  const absl::Status status =
      Server::Start(options_,
                    [](const EngineOptions&, EngineObserver*,
                       Clock*) -> absl::StatusOr<std::unique_ptr<Engine>> {
                      return absl::NotFoundError("model root x is absent");
                    })
          .status();
  EXPECT_EQ(status, absl::NotFoundError("model root x is absent"));
}

TEST_F(ServerStartTest, IsLiveButNotReadyWhileModelsLoad) {
  // The port is only known once the server runs, so take a free one first.
  {
    const auto probe = Start();
    ASSERT_TRUE(probe.ok()) << probe.status();
    options_.http.port = (*probe)->http_port();
  }
  int live = 0;
  int ready = 0;
  std::string reason;
  const auto server = Server::Start(
      options_, [&](const EngineOptions&, EngineObserver*, Clock*) {
        httplib::Client client("127.0.0.1", options_.http.port);
        live = client.Get("/livez")->status;
        ready = client.Get("/readyz")->status;
        reason = client.Get("/readyz")->body;
        return std::make_unique<FakeEngine>();
      });
  ASSERT_TRUE(server.ok()) << server.status();
  EXPECT_EQ(live, 200);
  EXPECT_EQ(ready, 503);
  EXPECT_EQ(reason, "loading models\n");
}

TEST_F(ServerStartTest, StartsWithoutAModelAndIsReadyOnceOneIsLive) {
  const auto logger_before = spdlog::default_logger();
  std::ostringstream log;
  spdlog::set_default_logger(std::make_shared<spdlog::logger>(
      "test", std::make_shared<spdlog::sinks::ostream_sink_mt>(log)));
  FakeEngine* engine = nullptr;
  const auto server = Server::Start(
      options_, [&](const EngineOptions&, EngineObserver*, Clock*) {
        auto fake = std::make_unique<FakeEngine>();
        fake->SetReady(false);
        fake->RemoveModel("digits");
        engine = fake.get();
        return fake;
      });
  spdlog::set_default_logger(logger_before);
  ASSERT_TRUE(server.ok()) << server.status();
  EXPECT_THAT(
      log.str(),
      AllOf(HasSubstr("warning"),
            HasSubstr("not ready: the model directory has no model version")));

  httplib::Client http("127.0.0.1", (*server)->http_port());
  EXPECT_EQ(http.Get("/livez")->status, 200);
  EXPECT_EQ(http.Get("/readyz")->status, 503);
  EXPECT_EQ(http.Get("/readyz")->body,
            "the model directory has no model version\n");
  const std::unique_ptr<Health::Stub> health = Health::NewStub(
      grpc::CreateChannel(absl::StrCat("127.0.0.1:", (*server)->grpc_port()),
                          grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  const auto watch = health->Watch(&context, {});
  HealthCheckResponse response;
  ASSERT_TRUE(watch->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::NOT_SERVING);

  engine->SetModel(
      {"digits", std::nullopt, {engine->Version(2, VersionState::kRefused)}});
  EXPECT_EQ(http.Get("/readyz")->body,
            "none of the 1 model versions is live; ModelService.ListModels "
            "says why\n");
  engine->SetModel(
      {"digits", std::nullopt, {engine->Version(3, VersionState::kLive)}});
  engine->SetReady(true);
  EXPECT_EQ(http.Get("/readyz")->status, 200);
  ASSERT_TRUE(watch->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::SERVING);
  context.TryCancel();
}

TEST_F(ServerStartTest, WritesItsPortsOnceItServes) {
  const TemporaryFolder folder;
  options_.port_file = (folder.path() / "ports.json").string();
  const auto server = Start();
  ASSERT_TRUE(server.ok()) << server.status();
  EXPECT_EQ(ReadBytes(options_.port_file),
            absl::StrCat("{\"grpc_port\":", (*server)->grpc_port(),
                         ",\"http_port\":", (*server)->http_port(), "}\n"));
}

TEST_F(ServerStartTest, WritesTheAdminPortIfThereIsOne) {
  const TemporaryFolder folder;
  options_.port_file = (folder.path() / "ports.json").string();
  options_.admin_listen = {"127.0.0.1", 0};
  const auto server = Start();
  ASSERT_TRUE(server.ok()) << server.status();
  EXPECT_EQ(ReadBytes(options_.port_file),
            absl::StrCat("{\"grpc_port\":", (*server)->grpc_port(),
                         ",\"http_port\":", (*server)->http_port(),
                         ",\"admin_port\":", (*server)->admin_port(), "}\n"));
}

TEST_F(ServerStartTest, SaysThatTheAdminPortIsInUse) {
  const auto first = Start();
  ASSERT_TRUE(first.ok()) << first.status();
  options_.admin_listen = {"127.0.0.1", (*first)->grpc_port()};
  const absl::Status status = Start().status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("--admin_listen="), HasSubstr("is in use")));
}

TEST_F(ServerStartTest, SaysThatThePortFileCannotBeWritten) {
  const TemporaryFolder folder;
  options_.port_file = (folder.path() / "absent" / "ports.json").string();
  const absl::Status status = Start().status();
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("--port_file="), HasSubstr("cannot be written")));
}

TEST_F(ServerStartTest, RemovesAnEarlierRunsPortFileBeforeItLoads) {
  const TemporaryFolder folder;
  options_.port_file = (folder.path() / "ports.json").string();
  WriteBytes(options_.port_file, "stale");
  const absl::Status status =
      Server::Start(options_,
                    [](const EngineOptions&, EngineObserver*,
                       Clock*) -> absl::StatusOr<std::unique_ptr<Engine>> {
                      return absl::NotFoundError("none");
                    })
          .status();
  EXPECT_FALSE(std::filesystem::exists(options_.port_file));
}

}  // namespace
}  // namespace ddgan
