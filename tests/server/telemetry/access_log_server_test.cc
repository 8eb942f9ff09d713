// Traces and the access log of the whole server.
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "ddgan/v1/model.grpc.pb.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "inference/v2.grpc.pb.h"
#include "nlohmann/json.hpp"
#include "server/telemetry/log_format.h"
#include "spdlog/sinks/ostream_sink.h"
#include "spdlog/spdlog.h"
#include "tests/server/kserve/infer_requests.h"
#include "tests/server/server_fixture.h"

namespace ddgan {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class AccessLogServerTest : public ServerTest {
 protected:
  void SetUp() override {
    spdlog::set_default_logger(std::make_shared<spdlog::logger>(
        "test", std::make_shared<spdlog::sinks::ostream_sink_mt>(log_)));
    spdlog::default_logger()->set_formatter(MakeLogFormatter(LogFormat::kJson));
    options_.log_format = LogFormat::kJson;
    options_.access_log = AccessLogLevel::kAll;
    StartServer();
  }
  ~AccessLogServerTest() override {
    server_.reset();
    spdlog::set_default_logger(before_);
  }

  // Stops the server and returns what it has logged, every line of which is an
  // object; of these the calls.
  std::vector<nlohmann::json> StopAndReadCalls() {
    server_->Stop(absl::Seconds(30));
    std::vector<nlohmann::json> calls;
    std::istringstream lines(log_.str());
    for (std::string line; std::getline(lines, line);) {
      const auto object =
          nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
      EXPECT_TRUE(object.is_object()) << line;
      if (object.is_object() && object.contains("event")) {
        calls.push_back(object);
      }
    }
    return calls;
  }

  static std::string Trailer(const grpc::ClientContext& context,
                             const char* key) {
    const auto& trailers = context.GetServerTrailingMetadata();
    const auto found = trailers.find(key);
    if (found == trailers.end()) return "";
    return std::string(found->second.data(), found->second.size());
  }

  const std::shared_ptr<spdlog::logger> before_ = spdlog::default_logger();
  std::ostringstream log_;
};

constexpr char kCallersTrace[] =
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

TEST_F(AccessLogServerTest, TellsACallAndItsTraceToLogAndCaller) {
  grpc::ClientContext context;
  context.AddMetadata("traceparent", kCallersTrace);
  context.AddMetadata("tracestate", "vendor=1");
  context.AddMetadata("ddgan-client-id", "gold");
  context.AddMetadata("authorization", "Bearer s3cret");
  ASSERT_TRUE(images_->Generate(&context, RequestFor(2), &response_).ok());
  const std::string echoed = Trailer(context, "traceparent");
  EXPECT_EQ(echoed.substr(0, 36), std::string(kCallersTrace).substr(0, 36));
  EXPECT_EQ(Trailer(context, "tracestate"), "vendor=1");

  const std::vector<nlohmann::json> calls = StopAndReadCalls();
  ASSERT_EQ(calls.size(), 1u);
  const nlohmann::json& call = calls[0];
  EXPECT_EQ(call["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
  EXPECT_EQ(call["parent_id"], "00f067aa0ba902b7");
  EXPECT_EQ(call["request_id"], echoed.substr(36, 16));
  EXPECT_EQ(call["caller"], "gold");
  EXPECT_EQ(call["method"], "Generate");
  EXPECT_EQ(call["model"], "digits");
  EXPECT_EQ(call["version"], 3);
  EXPECT_EQ(call["count"], 2);
  EXPECT_EQ(call["seed"], "7");
  EXPECT_EQ(call["code"], "OK");
  EXPECT_EQ(call["queue_s"], 0.003);
  EXPECT_EQ(call["steps_s"], 0.04);
  EXPECT_GT(call["encode_s"], 0);
  EXPECT_GT(call["total_s"], 0);
  EXPECT_EQ(call["reply_bytes"], response_.ByteSizeLong());
  EXPECT_THAT(log_.str(), Not(HasSubstr("s3cret")));
}

TEST_F(AccessLogServerTest, TellsEveryKindOfCall) {
  {
    StreamCall stream(images_.get(), StreamRequestFor(2, true));
    EXPECT_TRUE(stream.Read().has_accepted());
    stream.ReadRest();
  }
  const auto models = v1::ModelService::NewStub(channel_);
  {
    grpc::ClientContext context;
    v1::ListModelsResponse response;
    ASSERT_TRUE(models->ListModels(&context, {}, &response).ok());
    EXPECT_EQ(Trailer(context, "traceparent").size(), 55u);
  }
  {
    grpc::ClientContext context;
    v1::PinVersionRequest request;
    request.set_model("digits");
    request.set_version(2);
    v1::PinVersionResponse response;
    EXPECT_FALSE(models->PinVersion(&context, request, &response).ok());
  }
  const auto inferences = inference::GRPCInferenceService::NewStub(channel_);
  {
    grpc::ClientContext context;
    inference::ModelInferResponse response;
    ASSERT_TRUE(
        inferences->ModelInfer(&context, InferRequestFor({7, 8}), &response)
            .ok());
    EXPECT_EQ(Trailer(context, "traceparent").size(), 55u);
  }
  {
    grpc::ClientContext context;
    inference::ModelConfigRequest request;
    request.set_name("cats");
    inference::ModelConfigResponse response;
    EXPECT_FALSE(inferences->ModelConfig(&context, request, &response).ok());
  }
  {
    grpc::ClientContext context;
    inference::ServerReadyResponse response;
    EXPECT_TRUE(inferences->ServerReady(&context, {}, &response).ok());
  }
  {
    grpc::ClientContext context;
    const auto watch = models->WatchModels(&context, {});
    v1::WatchModelsResponse event;
    EXPECT_TRUE(watch->Read(&event));
    context.TryCancel();
    watch->Finish();
  }
  std::map<std::string, nlohmann::json> by_method;
  for (const nlohmann::json& call : StopAndReadCalls()) {
    by_method[call["method"]] = call;
  }
  EXPECT_EQ(by_method.size(), 6u);
  EXPECT_EQ(by_method["GenerateStream"]["code"], "OK");
  EXPECT_GT(by_method["GenerateStream"]["reply_bytes"], 100);
  EXPECT_EQ(by_method["ModelInfer"]["code"], "OK");
  EXPECT_EQ(by_method["ModelInfer"]["count"], 2);
  EXPECT_FALSE(by_method["ModelInfer"].contains("seed"));  // There are two.
  EXPECT_EQ(by_method["ModelConfig"]["code"], "NOT_FOUND");
  EXPECT_EQ(by_method["ModelConfig"]["model"], "cats");
  EXPECT_EQ(by_method["ListModels"]["caller"], "127.0.0.1");
  EXPECT_EQ(by_method["PinVersion"]["code"], "FAILED_PRECONDITION");
  EXPECT_EQ(by_method["PinVersion"]["version"], 2);
  EXPECT_EQ(by_method["WatchModels"]["code"], "CANCELLED");
}

TEST_F(AccessLogServerTest, HostileValuesBeginATraceAndStayOnTheirLine) {
  grpc::ClientContext context;
  context.AddMetadata("traceparent", "00-zz\" code=OK");
  context.AddMetadata("tracestate", "vendor=1");
  v1::GenerateRequest request = RequestFor(1);
  request.set_model("x\n{\"level\":\"info\"}\x1b[2J");
  const grpc::Status status = images_->Generate(&context, request, &response_);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  const std::string echoed = Trailer(context, "traceparent");
  EXPECT_EQ(echoed.size(), 55u);
  EXPECT_EQ(Trailer(context, "tracestate"), "");
  const std::vector<nlohmann::json> calls = StopAndReadCalls();
  ASSERT_EQ(calls.size(), 1u);
  EXPECT_EQ(calls[0]["trace_id"], echoed.substr(3, 32));
  EXPECT_EQ(calls[0].count("parent_id"), 0u);
  EXPECT_EQ(calls[0]["model"], request.model());
  EXPECT_EQ(calls[0]["code"], "NOT_FOUND");
  EXPECT_THAT(log_.str(), Not(HasSubstr("\x1b")));
}

TEST_F(AccessLogServerTest, ACallThatFailsHasNoReplyAndOneThatIsWrongNoImages) {
  for (const uint32_t count : {0, 65}) {
    grpc::ClientContext context;
    EXPECT_EQ(
        images_->Generate(&context, RequestFor(count), &response_).error_code(),
        grpc::StatusCode::INVALID_ARGUMENT);
  }
  engine_->FailRequests(absl::InternalError("not finite"));
  grpc::ClientContext context;
  EXPECT_EQ(images_->Generate(&context, RequestFor(2), &response_).error_code(),
            grpc::StatusCode::INTERNAL);
  const std::vector<nlohmann::json> calls = StopAndReadCalls();
  ASSERT_EQ(calls.size(), 3u);
  for (const nlohmann::json& call : calls) EXPECT_EQ(call["reply_bytes"], 0);
  for (int i : {0, 1}) {
    EXPECT_FALSE(calls[i].contains("count"));
    EXPECT_FALSE(calls[i].contains("seed"));
  }
  EXPECT_EQ(calls[2]["count"], 2);
}

// What a gRPC client may try again is a refusal without initial metadata.
TEST_F(AccessLogServerTest, ARefusalStaysOneThatMayBeTriedAgain) {
  engine_->RefuseRequests(absl::UnavailableError("no device"));
  grpc::ClientContext context;
  EXPECT_EQ(images_->Generate(&context, RequestFor(1), &response_).error_code(),
            grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(Trailer(context, "traceparent").size(), 55u);
  EXPECT_TRUE(context.GetServerInitialMetadata().empty());
}

}  // namespace
}  // namespace ddgan
