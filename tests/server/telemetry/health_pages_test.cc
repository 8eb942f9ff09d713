// Health, reflection and the HTTP pages of the whole server.
#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "ddgan/v1/model.grpc.pb.h"
#include "gmock/gmock.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "grpc/reflection/v1/reflection.grpc.pb.h"
#include "grpc/reflection/v1alpha/reflection.grpc.pb.h"
#include "gtest/gtest.h"
#include "server/telemetry/health_service.h"
#include "tests/server/promtool.h"
#include "tests/server/raw_connection.h"
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

// The service alone, on a gRPC server of its own.
class HealthServiceTest : public ::testing::Test {
 protected:
  HealthServiceTest() {
    service_.SetServingStatus("images", true);
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(),
                             &port);
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    health_ = Health::NewStub(grpc::CreateChannel(
        absl::StrCat("127.0.0.1:", port), grpc::InsecureChannelCredentials()));
    request_.set_service("images");
  }

  HealthService service_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<Health::Stub> health_;
  HealthCheckRequest request_;
};

TEST_F(HealthServiceTest, AWatchIsToldOfChangesAlone) {
  grpc::ClientContext context;
  const auto watch = health_->Watch(&context, request_);
  HealthCheckResponse response;
  ASSERT_TRUE(watch->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::SERVING);
  service_.SetServingStatus("images", true);
  service_.SetServingStatus("images", false);
  ASSERT_TRUE(watch->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::NOT_SERVING);
  context.TryCancel();
  watch->Finish();
  server_->Shutdown();
}

TEST_F(HealthServiceTest, AWatchOfAnUnknownNameIsToldWhatItIsSetToFirst) {
  request_.set_service("models");
  grpc::ClientContext context;
  const auto watch = health_->Watch(&context, request_);
  HealthCheckResponse response;
  ASSERT_TRUE(watch->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::SERVICE_UNKNOWN);
  service_.SetServingStatus("models", false);
  ASSERT_TRUE(watch->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::NOT_SERVING);
  service_.SetServingStatus(true);
  ASSERT_TRUE(watch->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::SERVING);
  context.TryCancel();
  watch->Finish();
  server_->Shutdown();
}

// A caller who leaves once it has read may do so before gRPC says that the
// answer is written. The watch ends all the same, which Shutdown waits for.
TEST_F(HealthServiceTest, AWatchWhoseReaderLeavesAtOnceEnds) {
  for (int call = 0; call < 1000; ++call) {
    grpc::ClientContext context;
    const auto watch = health_->Watch(&context, request_);
    HealthCheckResponse response;
    ASSERT_TRUE(watch->Read(&response));
    context.TryCancel();
    watch->Finish();
  }
  server_->Shutdown();
}

// One stream that asks all of `requests`; the answers as text. Both versions of
// the protocol have the same messages.
template <class Stub, class Request, class Response>
std::vector<std::string> Reflect(Stub* stub,
                                 const std::vector<Request>& requests) {
  grpc::ClientContext context;
  const auto stream = stub->ServerReflectionInfo(&context);
  std::vector<std::string> answers;
  for (const Request& request : requests) {
    Response response;
    EXPECT_TRUE(stream->Write(request));
    EXPECT_TRUE(stream->Read(&response));
    answers.push_back(response.ShortDebugString());
  }
  stream->WritesDone();
  EXPECT_TRUE(stream->Finish().ok());
  return answers;
}

template <class Request>
std::vector<Request> ReflectionQuestions() {
  std::vector<Request> requests(6);
  requests[0].set_list_services("*");
  requests[1].set_file_containing_symbol("ddgan.v1.ImageGeneration.Generate");
  requests[2].set_file_by_filename("ddgan/v1/model.proto");
  requests[3].set_file_by_filename("/etc/passwd");
  requests[4].set_all_extension_numbers_of_type("ddgan.v1.Guide");
  return requests;
}

TEST_F(ServerTest, ReflectionAnswersUnderItsNewAndItsOldName) {
  namespace v1 = grpc::reflection::v1;
  namespace v1alpha = grpc::reflection::v1alpha;
  const auto stub = v1::ServerReflection::NewStub(channel_);
  const auto old_stub = v1alpha::ServerReflection::NewStub(channel_);
  const std::vector<std::string> answers =
      Reflect<v1::ServerReflection::Stub, v1::ServerReflectionRequest,
              v1::ServerReflectionResponse>(
          stub.get(), ReflectionQuestions<v1::ServerReflectionRequest>());
  EXPECT_THAT(answers[0], AllOf(HasSubstr("\"ddgan.v1.ImageGeneration\""),
                                HasSubstr("\"ddgan.v1.ModelService\""),
                                HasSubstr("\"grpc.health.v1.Health\"")));
  EXPECT_THAT(answers[1], AllOf(HasSubstr("ddgan/v1/image_generation.proto"),
                                HasSubstr("google/protobuf/duration.proto")));
  EXPECT_THAT(answers[2], HasSubstr("file_descriptor_proto"));
  EXPECT_THAT(answers[3], HasSubstr("error_code: 5"));
  EXPECT_THAT(answers[4], HasSubstr("base_type_name: \"ddgan.v1.Guide\""));
  EXPECT_THAT(answers[5], HasSubstr("error_code: 3"));
  EXPECT_EQ((Reflect<v1alpha::ServerReflection::Stub,
                     v1alpha::ServerReflectionRequest,
                     v1alpha::ServerReflectionResponse>(
                old_stub.get(),
                ReflectionQuestions<v1alpha::ServerReflectionRequest>())),
            answers);
}

TEST_F(ServerTest, AReflectionStreamThatAsksNothingEnds) {
  server_.reset();
  options_.limits.requests.timeout = absl::Milliseconds(200);
  StartServer();
  grpc::ClientContext context;
  const auto stub = grpc::reflection::v1::ServerReflection::NewStub(channel_);
  const auto stream = stub->ServerReflectionInfo(&context);
  grpc::reflection::v1::ServerReflectionResponse response;
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_TRUE(stream->Finish().ok());
}

// Neither of them could be parsed: the number of bytes is looked at first.
TEST_F(ServerTest, ReflectionRefusesALargeRequestBeforeItIsParsed) {
  for (const auto& [size, refusal] :
       {std::pair(4097, "the request has 4097 bytes, of at most 4096"),
        std::pair(3, "not one of this method's requests")}) {
    RawConnection caller(server_->grpc_port());
    caller.BeginCall(
        1, "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo");
    const std::string prefix = {0, 0, 0, static_cast<char>(size >> 8),
                                static_cast<char>(size)};
    caller.SendFrame(RawConnection::kData, 0, 1,
                     prefix + std::string(size, '\xff'));
    RawConnection::Frame last;
    do {
      last = caller.ReadUntil(RawConnection::kHeaders);
    } while (last.type >= 0 && (last.flags & RawConnection::kEndStream) == 0);
    EXPECT_THAT(last.payload, HasSubstr(refusal));
  }
}

TEST_F(ServerTest, AReflectionStreamWhoseAnswersNobodyReadsEnds) {
  server_.reset();
  options_.limits.write_timeout = absl::Milliseconds(200);
  StartServer();
  grpc::ClientContext context;
  const auto stub = grpc::reflection::v1::ServerReflection::NewStub(channel_);
  const auto stream = stub->ServerReflectionInfo(&context);
  grpc::reflection::v1::ServerReflectionRequest request;
  request.set_file_containing_symbol("ddgan.v1.ImageGeneration.Generate");
  // More answers than the 64 KiB that are sent to somebody who does not read.
  for (int i = 0; i < 64 && stream->Write(request); ++i) {
  }
  const char* const counted = "ddgan_write_timeouts_total{what=\"call\"} 1";
  EXPECT_THAT(MetricsWith(counted), HasSubstr(counted));
  grpc::reflection::v1::ServerReflectionResponse response;
  while (stream->Read(&response)) {
  }
  EXPECT_FALSE(stream->Finish().ok());
}

TEST_F(ServerTest, AWatchOfHealthEndsWithTheServer) {
  const std::unique_ptr<Health::Stub> health = Health::NewStub(channel_);
  grpc::ClientContext context;
  HealthCheckRequest request;
  request.set_service("ddgan.v1.Unknown");
  const auto watch = health->Watch(&context, request);
  HealthCheckResponse response;
  ASSERT_TRUE(watch->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::SERVICE_UNKNOWN);
  server_->Stop(absl::ZeroDuration());
  EXPECT_FALSE(watch->Read(&response));
  EXPECT_EQ(watch->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
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
