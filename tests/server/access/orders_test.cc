// Who may pin and roll back: the whole server, listening on more than the
// loopback.
#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "ddgan/v1/model.grpc.pb.h"
#include "engine/base/sha256.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/server.h"
#include "tests/fakes/fake_engine.h"
#include "tests/fakes/temporary_folder.h"

namespace ddgan {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class OrdersTest : public ::testing::Test {
 protected:
  OrdersTest() {
    options_.access_log = AccessLogLevel::kNone;
    options_.listen = {"0.0.0.0", 0};
    options_.http = {"127.0.0.1", 0};
  }

  void Start() {
    absl::StatusOr<std::unique_ptr<Server>> server = Server::Start(
        options_, [this](const EngineOptions&, EngineObserver*, Clock*) {
          auto engine = std::make_unique<FakeEngine>();
          engine_ = engine.get();
          return engine;
        });
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }

  static std::unique_ptr<v1::ModelService::Stub> StubFor(int port) {
    return v1::ModelService::NewStub(grpc::CreateChannel(
        absl::StrCat("127.0.0.1:", port), grpc::InsecureChannelCredentials()));
  }

  static grpc::Status Pin(v1::ModelService::Stub* stub,
                          const std::string& token = "") {
    grpc::ClientContext context;
    if (!token.empty()) {
      context.AddMetadata("authorization", absl::StrCat("Bearer ", token));
    }
    v1::PinVersionRequest request;
    request.set_model("digits");
    request.set_version(1);
    v1::PinVersionResponse response;
    return stub->PinVersion(&context, request, &response);
  }

  bool Pinned() const { return engine_->ListModels()[0].pinned.has_value(); }

  ServerOptions options_;
  FakeEngine* engine_ = nullptr;  // The server's.
  std::unique_ptr<Server> server_;
};

TEST_F(OrdersTest, ThoseOfTheNetworkAreRefusedWithWhatToDo) {
  Start();
  const auto stub = StubFor(server_->grpc_port());
  const grpc::Status pin = Pin(stub.get());
  EXPECT_EQ(pin.error_code(), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_THAT(pin.error_message(),
              AllOf(HasSubstr("--admin_listen"), HasSubstr("--token_file")));
  {
    grpc::ClientContext context;
    v1::UnpinVersionRequest request;
    request.set_model("digits");
    v1::UnpinVersionResponse response;
    EXPECT_EQ(stub->UnpinVersion(&context, request, &response).error_code(),
              grpc::StatusCode::PERMISSION_DENIED);
  }
  {
    grpc::ClientContext context;
    v1::RollBackRequest request;
    request.set_model("digits");
    v1::RollBackResponse response;
    EXPECT_EQ(stub->RollBack(&context, request, &response).error_code(),
              grpc::StatusCode::PERMISSION_DENIED);
  }
  EXPECT_FALSE(Pinned());
  // Looking is for everybody.
  grpc::ClientContext context;
  v1::ListModelsResponse response;
  EXPECT_TRUE(stub->ListModels(&context, {}, &response).ok());
}

TEST_F(OrdersTest, TheAdminPortTakesThem) {
  options_.admin_listen = {"0.0.0.0", 0};
  Start();
  EXPECT_EQ(Pin(StubFor(server_->grpc_port()).get()).error_code(),
            grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_TRUE(Pin(StubFor(server_->admin_port()).get()).ok());
  EXPECT_TRUE(Pinned());
}

TEST_F(OrdersTest, ATokenWithTheScopeMayGiveThem) {
  const TemporaryFolder folder;
  options_.security.token_file = (folder.path() / "tokens.json").string();
  options_.security.tokens_without_tls = true;
  WriteBytes(
      options_.security.token_file,
      absl::StrCat(R"({"tenants": [{"name": "a", "tokens": [{"sha256": ")",
                   Sha256Hex("token-admin"), R"(", "scopes": ["admin"]}]}]})"));
  Start();
  const auto stub = StubFor(server_->grpc_port());
  EXPECT_EQ(Pin(stub.get()).error_code(), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_TRUE(Pin(stub.get(), "token-admin").ok());
  EXPECT_TRUE(Pinned());
}

TEST_F(OrdersTest, TheLoopbackAloneNeedsNeither) {
  options_.listen = {"127.0.0.1", 0};
  Start();
  EXPECT_TRUE(Pin(StubFor(server_->grpc_port()).get()).ok());
  EXPECT_TRUE(Pinned());
}

}  // namespace
}  // namespace ddgan
