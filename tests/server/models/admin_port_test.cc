// A server that has a port of its own for operators.
#include <cstdint>
#include <memory>
#include <optional>
#include <thread>

#include "absl/strings/str_cat.h"
#include "ddgan/v1/model.grpc.pb.h"
#include "gmock/gmock.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "gtest/gtest.h"
#include "tests/server/server_fixture.h"

namespace ddgan {
namespace {

using grpc::health::v1::Health;
using grpc::health::v1::HealthCheckResponse;
using ::testing::HasSubstr;

class AdminPortTest : public ServerTest {
 protected:
  void SetUp() override {
    options_.admin_listen = {"127.0.0.1", 0};
    StartServer();
    admin_channel_ =
        grpc::CreateChannel(absl::StrCat("127.0.0.1:", server_->admin_port()),
                            grpc::InsecureChannelCredentials());
    main_models_ = v1::ModelService::NewStub(channel_);
    admin_models_ = v1::ModelService::NewStub(admin_channel_);
  }

  static grpc::Status Pin(v1::ModelService::Stub* stub, int64_t version) {
    grpc::ClientContext context;
    v1::PinVersionRequest request;
    request.set_model("digits");
    request.set_version(version);
    v1::PinVersionResponse response;
    return stub->PinVersion(&context, request, &response);
  }

  static grpc::Status Check(const std::shared_ptr<grpc::Channel>& channel,
                            HealthCheckResponse* response) {
    grpc::ClientContext context;
    return Health::NewStub(channel)->Check(&context, {}, response);
  }

  std::shared_ptr<grpc::Channel> admin_channel_;
  std::unique_ptr<v1::ModelService::Stub> main_models_;
  std::unique_ptr<v1::ModelService::Stub> admin_models_;
};

TEST_F(AdminPortTest, ChangesAreServedThereAndNowhereElse) {
  EXPECT_NE(server_->admin_port(), 0);
  const grpc::Status status = Pin(main_models_.get(), 1);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_THAT(status.error_message(), HasSubstr("--admin_listen"));
  EXPECT_EQ(engine_->ListModels()[0].pinned, std::nullopt);
  {
    grpc::ClientContext context;
    v1::UnpinVersionRequest request;
    request.set_model("digits");
    v1::UnpinVersionResponse response;
    EXPECT_EQ(
        main_models_->UnpinVersion(&context, request, &response).error_code(),
        grpc::StatusCode::UNIMPLEMENTED);
  }
  {
    grpc::ClientContext context;
    v1::RollBackRequest request;
    request.set_model("digits");
    v1::RollBackResponse response;
    EXPECT_EQ(main_models_->RollBack(&context, request, &response).error_code(),
              grpc::StatusCode::UNIMPLEMENTED);
  }
  EXPECT_TRUE(Pin(admin_models_.get(), 1).ok());
  EXPECT_EQ(engine_->ListModels()[0].pinned, 1);
}

TEST_F(AdminPortTest, ModelsAreReadAndWatchedOnBothPorts) {
  for (v1::ModelService::Stub* stub :
       {main_models_.get(), admin_models_.get()}) {
    grpc::ClientContext context;
    v1::ListModelsResponse response;
    EXPECT_TRUE(stub->ListModels(&context, {}, &response).ok());
    EXPECT_EQ(response.models_size(), 1);
    grpc::ClientContext watch_context;
    const auto watch = stub->WatchModels(&watch_context, {});
    v1::WatchModelsResponse event;
    EXPECT_TRUE(watch->Read(&event));
    watch_context.TryCancel();
  }
}

TEST_F(AdminPortTest, MakesNoImages) {
  grpc::ClientContext context;
  EXPECT_EQ(v1::ImageGeneration::NewStub(admin_channel_)
                ->Generate(&context, RequestFor(1), &response_)
                .error_code(),
            grpc::StatusCode::UNIMPLEMENTED);
}

TEST_F(AdminPortTest, HealthIsServedOnBothPortsAndByTheAdminPortUntilTheEnd) {
  HealthCheckResponse response;
  for (const auto& channel : {channel_, admin_channel_}) {
    ASSERT_TRUE(Check(channel, &response).ok());
    EXPECT_EQ(response.status(), HealthCheckResponse::SERVING);
  }
  engine_->HoldRequests();
  grpc::Status status;
  std::thread caller([this, &status] { status = Generate(RequestFor(1)); });
  const RequestId id = engine_->WaitForHeld(1).front();
  std::thread stopper([this] { server_->Stop(absl::InfiniteDuration()); });
  WaitUntilNobodyCanConnect();
  ASSERT_TRUE(Check(admin_channel_, &response).ok());
  EXPECT_EQ(response.status(), HealthCheckResponse::NOT_SERVING);
  engine_->DeliverHeld(id, 0);
  engine_->FinishHeld(id, absl::OkStatus());
  stopper.join();
  caller.join();
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_FALSE(Check(admin_channel_, &response).ok());
}

TEST_F(AdminPortTest, AStopEndsItsWatches) {
  grpc::ClientContext context;
  const auto watch = admin_models_->WatchModels(&context, {});
  v1::WatchModelsResponse event;
  ASSERT_TRUE(watch->Read(&event));
  server_->Stop(absl::Seconds(30));
  EXPECT_FALSE(watch->Read(&event));
  const grpc::Status status = watch->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
}

}  // namespace
}  // namespace ddgan
