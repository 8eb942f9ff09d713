// Health, reflection and the HTTP pages of the whole server.
#include <google/protobuf/descriptor.h>
#include <google/protobuf/dynamic_message.h>
#include <grpcpp/generic/generic_stub.h>

#include <memory>
#include <string>

#include "ddgan/v1/model.grpc.pb.h"
#include "gmock/gmock.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "gtest/gtest.h"
#include "tests/server/promtool.h"
#include "tests/server/server_fixture.h"

namespace ddgan {
namespace {

using grpc::health::v1::Health;
using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;
using ::testing::AllOf;
using ::testing::HasSubstr;

TEST_F(ServerTest, HealthServesTheServerAndEachServiceByName) {
  const std::unique_ptr<Health::Stub> health = Health::NewStub(channel_);
  for (const char* name :
       {"", "ddgan.v1.ImageGeneration", "ddgan.v1.ModelService"}) {
    grpc::ClientContext context;
    HealthCheckRequest request;
    request.set_service(name);
    HealthCheckResponse response;
    ASSERT_TRUE(health->Check(&context, request, &response).ok()) << name;
    EXPECT_EQ(response.status(), HealthCheckResponse::SERVING) << name;
  }
  grpc::ClientContext context;
  HealthCheckRequest request;
  request.set_service("ddgan.v1.Unknown");
  HealthCheckResponse response;
  EXPECT_EQ(health->Check(&context, request, &response).error_code(),
            grpc::StatusCode::NOT_FOUND);
}

TEST_F(ServerTest, HealthFollowsTheEngine) {
  const std::unique_ptr<Health::Stub> health = Health::NewStub(channel_);
  grpc::ClientContext context;
  HealthCheckRequest request;
  request.set_service("ddgan.v1.ImageGeneration");
  const auto watch = health->Watch(&context, request);
  HealthCheckResponse response;
  ASSERT_TRUE(watch->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::SERVING);
  engine_->SetReady(false);
  ASSERT_TRUE(watch->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::NOT_SERVING);
  EXPECT_EQ(Get("/readyz")->status, 503);
  EXPECT_EQ(Get("/readyz")->body, "no device works\n");
  engine_->SetReady(true);
  ASSERT_TRUE(watch->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::SERVING);
  context.TryCancel();
}

// The reflection service's messages live in gRPC's own library, which installs
// no header for them, so the test speaks it through descriptors.
TEST_F(ServerTest, ReflectionListsTheServices) {
  using google::protobuf::Descriptor;
  using google::protobuf::DescriptorPool;
  using google::protobuf::Message;
  using google::protobuf::MessageFactory;
  const DescriptorPool* pool = DescriptorPool::generated_pool();
  const Descriptor* request_type = pool->FindMessageTypeByName(
      "grpc.reflection.v1alpha.ServerReflectionRequest");
  const Descriptor* response_type = pool->FindMessageTypeByName(
      "grpc.reflection.v1alpha.ServerReflectionResponse");
  ASSERT_NE(request_type, nullptr);
  ASSERT_NE(response_type, nullptr);
  MessageFactory* factory = MessageFactory::generated_factory();
  const std::unique_ptr<Message> request(
      factory->GetPrototype(request_type)->New());
  request->GetReflection()->SetString(
      request.get(), request_type->FindFieldByName("list_services"), "*");
  const std::unique_ptr<Message> response(
      factory->GetPrototype(response_type)->New());

  grpc::GenericStub stub(channel_);
  grpc::ClientContext context;
  grpc::CompletionQueue queue;
  const std::unique_ptr<grpc::GenericClientAsyncReaderWriter> call =
      stub.PrepareCall(
          &context,
          "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
          &queue);
  auto wait = [&queue] {
    void* tag;
    bool ok = false;
    EXPECT_TRUE(queue.Next(&tag, &ok));
    return ok;
  };
  grpc::Slice slice(request->SerializeAsString());
  grpc::ByteBuffer sent(&slice, 1);
  call->StartCall(nullptr);
  ASSERT_TRUE(wait());
  call->Write(sent, nullptr);
  ASSERT_TRUE(wait());
  grpc::ByteBuffer received;
  call->Read(&received, nullptr);
  ASSERT_TRUE(wait());
  grpc::Slice answer;
  ASSERT_TRUE(received.DumpToSingleSlice(&answer).ok());
  ASSERT_TRUE(response->ParseFromArray(answer.begin(), answer.size()));
  EXPECT_THAT(response->ShortDebugString(),
              AllOf(HasSubstr("ddgan.v1.ImageGeneration"),
                    HasSubstr("ddgan.v1.ModelService")));
  context.TryCancel();
  grpc::Status status;
  call->Finish(&status, nullptr);
  wait();
}

TEST_F(ServerTest, MetricsPassPrometheusLinterAfterCalls) {
  ASSERT_TRUE(Generate(RequestFor(2)).ok());
  const std::string text =
      MetricsWith("code=\"OK\",method=\"Generate\",model=\"digits\"} 1");
  EXPECT_THAT(text,
              HasSubstr("code=\"OK\",method=\"Generate\",model=\"digits\"} 1"));
  EXPECT_EQ(PromtoolComplaints(text), "");
  EXPECT_THAT(Get("/metrics")->get_header_value("Content-Type"),
              HasSubstr("version=0.0.4"));
}

TEST_F(ServerTest, IsNotLiveWhileOnlyANewProcessHelps) {
  engine_->SetReady(false);
  EXPECT_EQ(Get("/livez")->status, 200);
  engine_->SetLiveness(
      absl::InternalError("lane cuda:0 has been hanging in a step for 40 s"));
  EXPECT_EQ(Get("/livez")->status, 503);
  EXPECT_EQ(Get("/livez")->body,
            "lane cuda:0 has been hanging in a step for 40 s\n");
  engine_->SetLiveness(absl::OkStatus());
  EXPECT_EQ(Get("/livez")->status, 200);
}

TEST_F(ServerTest, IsLiveAndReadyWhileItServes) {
  EXPECT_EQ(Get("/livez")->status, 200);
  EXPECT_EQ(Get("/readyz")->status, 200);
  EXPECT_EQ(Get("/readyz")->body, "ok\n");
  EXPECT_EQ(Get("/nothing")->status, 404);
}

}  // namespace
}  // namespace ddgan
