// inference.GRPCInferenceService, seen by a gRPC client of the whole server.
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "engine/base/monotonic_clock.h"
#include "engine/imaging/to_rgb8_cpu.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "inference/v2.grpc.pb.h"
#include "tests/server/kserve/infer_requests.h"
#include "tests/server/server_fixture.h"

namespace ddgan {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class InferenceServiceTest : public ServerTest {
 protected:
  void SetUp() override {
    StartServer();
    Connect();
  }
  void Connect() { stub_ = inference::GRPCInferenceService::NewStub(channel_); }

  // The answer is infer_.
  grpc::Status Infer(const inference::ModelInferRequest& request) {
    context_ = std::make_unique<grpc::ClientContext>();
    infer_.Clear();
    return stub_->ModelInfer(context_.get(), request, &infer_);
  }

  // The images of a Generate call for one image.
  std::string GeneratedData(uint64_t seed, uint32_t index,
                            v1::OutputFormat format) {
    v1::GenerateRequest request;
    request.set_count(1);
    request.set_seed(seed);
    request.set_first_index(index);
    request.set_format(format);
    EXPECT_TRUE(Generate(request).ok());
    return response_.images(0).data();
  }

  template <typename Request, typename Response>
  grpc::Status Ask(
      grpc::Status (inference::GRPCInferenceService::Stub::*method)(
          grpc::ClientContext*, const Request&, Response*),
      const Request& request, Response* response) {
    grpc::ClientContext context;
    return (stub_.get()->*method)(&context, request, response);
  }

  bool ServerReady() {
    inference::ServerReadyResponse response;
    EXPECT_TRUE(Ask(&inference::GRPCInferenceService::Stub::ServerReady,
                    inference::ServerReadyRequest(), &response)
                    .ok());
    return response.ready();
  }
  bool ModelReady(const std::string& name, const std::string& version) {
    inference::ModelReadyRequest request;
    request.set_name(name);
    request.set_version(version);
    inference::ModelReadyResponse response;
    EXPECT_TRUE(Ask(&inference::GRPCInferenceService::Stub::ModelReady, request,
                    &response)
                    .ok());
    return response.ready();
  }

  std::unique_ptr<inference::GRPCInferenceService::Stub> stub_;
  inference::ModelInferResponse infer_;
};

TEST_F(InferenceServiceTest, ImagesHaveTheBytesOfGenerate) {
  const std::vector<uint64_t> seeds = {7, 8, 7,
                                       std::numeric_limits<uint64_t>::max()};
  const std::vector<uint32_t> indices = {0, 5, 1,
                                         std::numeric_limits<uint32_t>::max()};
  for (const auto& [output, format] :
       {std::pair{"image", v1::OUTPUT_FORMAT_RAW8},
        std::pair{"float32", v1::OUTPUT_FORMAT_FLOAT32}}) {
    inference::ModelInferRequest request = InferRequestFor(seeds, {output});
    AddRawInput("index", "UINT32", indices, &request);
    const grpc::Status status = Infer(request);
    ASSERT_TRUE(status.ok()) << status.error_message();
    std::string expected;
    for (size_t i = 0; i < seeds.size(); ++i) {
      expected += GeneratedData(seeds[i], indices[i], format);
    }
    EXPECT_THAT(infer_.raw_output_contents(), ElementsAre(expected));
  }
  inference::ModelInferRequest request = InferRequestFor(seeds, {"png"});
  AddRawInput("index", "UINT32", indices, &request);
  ASSERT_TRUE(Infer(request).ok());
  std::string expected;
  for (size_t i = 0; i < seeds.size(); ++i) {
    const std::string png =
        GeneratedData(seeds[i], indices[i], v1::OUTPUT_FORMAT_PNG);
    for (int shift = 0; shift < 32; shift += 8) {
      expected.push_back(static_cast<char>(png.size() >> shift));
    }
    expected += png;
  }
  EXPECT_THAT(infer_.raw_output_contents(), ElementsAre(expected));
}

TEST_F(InferenceServiceTest, WithoutNamesItAnswersWithAllOutputs) {
  inference::ModelInferRequest request = InferRequestFor({7, 8});
  request.set_id("mine");
  ASSERT_TRUE(Infer(request).ok());
  EXPECT_EQ(infer_.id(), "mine");
  EXPECT_EQ(infer_.model_name(), "digits");
  EXPECT_EQ(infer_.model_version(), "3");
  ASSERT_EQ(infer_.outputs_size(), 3);
  ASSERT_EQ(infer_.raw_output_contents_size(), 3);
  EXPECT_THAT(infer_.outputs(0).shape(), ElementsAre(2, 8, 8, 1));
  EXPECT_THAT(infer_.outputs(1).shape(), ElementsAre(2));
  EXPECT_THAT(infer_.outputs(2).shape(), ElementsAre(2, 1, 8, 8));
  const std::string& floats = infer_.raw_output_contents(2);
  EXPECT_EQ(floats,
            AsString(FakePixels(7, 0, kShape, PixelFormat::kFloat32)) +
                AsString(FakePixels(8, 0, kShape, PixelFormat::kFloat32)));
  std::vector<uint8_t> bytes(2 * kShape.numel());
  std::vector<float> values(bytes.size());
  std::memcpy(values.data(), floats.data(), floats.size());
  ToRgb8Cpu(values, kShape, absl::MakeSpan(bytes));
  EXPECT_EQ(infer_.raw_output_contents(0), AsString(bytes));
}

TEST_F(InferenceServiceTest, ACallIsOneRequestToTheEngineForAllItsSeeds) {
  engine_->HoldRequests();
  inference::ModelInferRequest request = InferRequestFor({7, 9, 8}, {"image"});
  (*request.mutable_parameters())["priority"].set_uint64_param(2);
  (*request.mutable_parameters())["timeout"].set_int64_param(3'600'000'000);
  const absl::Time before = RealMonotonicClock()->Now();
  std::thread caller([&] { EXPECT_TRUE(Infer(request).ok()); });
  const std::vector<RequestId> held = engine_->WaitForHeld(1);
  const GenerationRequest asked = engine_->HeldRequest(held.front());
  EXPECT_EQ(asked.count, 3u);
  EXPECT_THAT(asked.noise, ElementsAre(ImageNoise{7, 0}, ImageNoise{9, 0},
                                       ImageNoise{8, 0}));
  EXPECT_EQ(asked.request_class, RequestClass::kBatch);
  EXPECT_GE(asked.deadline, before + absl::Hours(1));
  EXPECT_LE(asked.deadline, RealMonotonicClock()->Now() + absl::Hours(1));
  EXPECT_EQ(asked.caller, "127.0.0.1");
  for (const uint32_t position : {2, 0, 1}) {
    engine_->DeliverHeld(held.front(), position);
  }
  engine_->FinishHeld(held.front(), absl::OkStatus());
  caller.join();
  EXPECT_THAT(
      infer_.raw_output_contents(),
      ElementsAre(AsString(FakePixels(7, 0, kShape, PixelFormat::kUint8)) +
                  AsString(FakePixels(9, 0, kShape, PixelFormat::kUint8)) +
                  AsString(FakePixels(8, 0, kShape, PixelFormat::kUint8))));
  const std::string counted =
      "ddgan_requests_total{code=\"OK\",method=\"ModelInfer\","
      "model=\"digits\"} 1";
  EXPECT_THAT(MetricsWith(counted), HasSubstr(counted));
}

TEST_F(InferenceServiceTest, ErrorsHaveTheCodesOfGenerate) {
  const auto expect = [this](const inference::ModelInferRequest& request,
                             grpc::StatusCode code, const char* message) {
    const grpc::Status status = Infer(request);
    EXPECT_EQ(status.error_code(), code) << status.error_message();
    EXPECT_THAT(status.error_message(), HasSubstr(message));
  };
  using grpc::StatusCode;
  expect({}, StatusCode::INVALID_ARGUMENT, "model_name: name of 0 bytes");
  inference::ModelInferRequest request = InferRequestFor({7});
  request.set_model_name("cats");
  expect(request, StatusCode::NOT_FOUND, "no model 'cats'");
  request = InferRequestFor({7});
  request.set_model_version("2");
  expect(request, StatusCode::NOT_FOUND, "no version 2");
  request.set_model_version("3");
  EXPECT_TRUE(Infer(request).ok());
  request = InferRequestFor(std::vector<uint64_t>(65, 7));
  expect(request, StatusCode::INVALID_ARGUMENT, "shape [65]");
  request = InferRequestFor({7});
  (*request.mutable_parameters())["timeout"].set_int64_param(1);
  engine_->RefuseRequests(absl::DeadlineExceededError("cannot be met"));
  expect(request, StatusCode::DEADLINE_EXCEEDED, "cannot be met");
  engine_->RefuseRequests(absl::ResourceExhaustedError("queue full"));
  expect(InferRequestFor({7}), StatusCode::RESOURCE_EXHAUSTED, "queue full");
  EXPECT_EQ(
      context_->GetServerTrailingMetadata().count("grpc-retry-pushback-ms"),
      1u);
  engine_->RefuseRequests(absl::UnavailableError("no lane"));
  expect(InferRequestFor({7}), StatusCode::UNAVAILABLE, "no lane");
  engine_->RefuseRequests(absl::OkStatus());
  engine_->FailRequests(absl::InternalError("a step failed"));
  expect(InferRequestFor({7, 8}), StatusCode::INTERNAL, "a step failed");
  EXPECT_EQ(engine_->places(), 0);
}

TEST_F(InferenceServiceTest, AllOutputsOfACallCountForItsSize) {
  server_.reset();
  StartServer({3, 512, 512});
  Connect();
  // 3.75 MiB an image of all three.
  const grpc::Status status =
      Infer(InferRequestFor(std::vector<uint64_t>(64, 7)));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(),
              HasSubstr("inputs 'seed': shape[0]: 64 is out of range [1, 14]"));
  EXPECT_TRUE(Infer(InferRequestFor(std::vector<uint64_t>(14, 7))).ok());
}

TEST_F(InferenceServiceTest, ACallThatIsCancelledLeavesTheEngine) {
  engine_->HoldRequests();
  context_ = std::make_unique<grpc::ClientContext>();
  grpc::Status status;
  std::thread caller([&] {
    status =
        stub_->ModelInfer(context_.get(), InferRequestFor({7, 8}), &infer_);
  });
  engine_->WaitForHeld(1);
  context_->TryCancel();
  caller.join();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::CANCELLED);
  engine_->WaitForCancels(1);
  const std::string counted =
      "ddgan_requests_total{code=\"CANCELLED\",method=\"ModelInfer\","
      "model=\"digits\"} 1";
  EXPECT_THAT(MetricsWith(counted), HasSubstr(counted));
}

TEST_F(InferenceServiceTest, TellsWhetherServerAndModelsAreReady) {
  inference::ServerLiveResponse live;
  EXPECT_TRUE(Ask(&inference::GRPCInferenceService::Stub::ServerLive,
                  inference::ServerLiveRequest(), &live)
                  .ok());
  EXPECT_TRUE(live.live());
  EXPECT_TRUE(ServerReady());
  EXPECT_TRUE(ModelReady("digits", ""));
  EXPECT_TRUE(ModelReady("digits", "3"));
  EXPECT_FALSE(ModelReady("digits", "2"));
  EXPECT_FALSE(ModelReady("cats", ""));
  engine_->SetReady(false);
  EXPECT_FALSE(ServerReady());
  EXPECT_FALSE(ModelReady("digits", ""));
  engine_->SetLiveness(absl::InternalError("lane cuda:0 hangs"));
  EXPECT_TRUE(Ask(&inference::GRPCInferenceService::Stub::ServerLive,
                  inference::ServerLiveRequest(), &live)
                  .ok());
  EXPECT_FALSE(live.live());
}

TEST_F(InferenceServiceTest, DescribesItselfAndItsModels) {
  inference::ServerMetadataResponse server;
  ASSERT_TRUE(Ask(&inference::GRPCInferenceService::Stub::ServerMetadata,
                  inference::ServerMetadataRequest(), &server)
                  .ok());
  EXPECT_EQ(server.name(), "ddgan-server");
  EXPECT_FALSE(server.version().empty());
  EXPECT_THAT(
      server.extensions(),
      ElementsAre("model_configuration", "schedule_policy", "statistics"));
  inference::ModelMetadataRequest metadata_request;
  metadata_request.set_name("digits");
  inference::ModelMetadataResponse metadata;
  ASSERT_TRUE(Ask(&inference::GRPCInferenceService::Stub::ModelMetadata,
                  metadata_request, &metadata)
                  .ok());
  EXPECT_EQ(metadata.name(), "digits");
  EXPECT_THAT(metadata.versions(), ElementsAre("1", "3"));
  EXPECT_THAT(metadata.outputs(0).shape(), ElementsAre(-1, 8, 8, 1));
  inference::ModelConfigRequest config_request;
  config_request.set_name("digits");
  inference::ModelConfigResponse config;
  ASSERT_TRUE(Ask(&inference::GRPCInferenceService::Stub::ModelConfig,
                  config_request, &config)
                  .ok());
  EXPECT_EQ(config.config().name(), "digits");
  EXPECT_THAT(config.config().output(0).dims(), ElementsAre(8, 8, 1));
  inference::RepositoryIndexRequest index_request;
  inference::RepositoryIndexResponse index;
  ASSERT_TRUE(Ask(&inference::GRPCInferenceService::Stub::RepositoryIndex,
                  index_request, &index)
                  .ok());
  EXPECT_EQ(index.models_size(), 4);
  index_request.set_repository_name("mine");
  EXPECT_EQ(Ask(&inference::GRPCInferenceService::Stub::RepositoryIndex,
                index_request, &index)
                .error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);

  // What there is not.
  metadata_request.set_version("2");
  EXPECT_EQ(Ask(&inference::GRPCInferenceService::Stub::ModelMetadata,
                metadata_request, &metadata)
                .error_code(),
            grpc::StatusCode::NOT_FOUND);
  config_request.set_name("cats");
  EXPECT_EQ(Ask(&inference::GRPCInferenceService::Stub::ModelConfig,
                config_request, &config)
                .error_code(),
            grpc::StatusCode::NOT_FOUND);
  config_request.set_version("latest");
  EXPECT_EQ(Ask(&inference::GRPCInferenceService::Stub::ModelConfig,
                config_request, &config)
                .error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(InferenceServiceTest, StatisticsAreOfTheCallsOfBothProtocols) {
  ASSERT_TRUE(Infer(InferRequestFor({7, 8, 9})).ok());
  ASSERT_TRUE(Generate(RequestFor(2)).ok());
  inference::ModelStatisticsRequest request;
  inference::ModelStatisticsResponse response;
  // A call ends for its caller slightly before it is counted.
  const absl::Time give_up = absl::Now() + absl::Seconds(30);
  do {
    response.Clear();
    ASSERT_TRUE(Ask(&inference::GRPCInferenceService::Stub::ModelStatistics,
                    request, &response)
                    .ok());
    ASSERT_EQ(response.model_stats_size(), 2);
  } while (response.model_stats(1).execution_count() < 2 &&
           absl::Now() < give_up);
  EXPECT_EQ(response.model_stats(0).version(), "1");
  EXPECT_EQ(response.model_stats(0).inference_count(), 0u);
  const inference::ModelStatistics& live = response.model_stats(1);
  EXPECT_EQ(live.name(), "digits");
  EXPECT_EQ(live.version(), "3");
  EXPECT_EQ(live.inference_count(), 5u);
  EXPECT_EQ(live.execution_count(), 2u);
  EXPECT_EQ(live.inference_stats().success().count(), 2u);
  EXPECT_EQ(live.inference_stats().compute_infer().ns(), 80'000'000u);
  EXPECT_GT(live.last_inference(), 1'700'000'000'000u);

  request.set_name("digits");
  request.set_version("3");
  ASSERT_TRUE(Ask(&inference::GRPCInferenceService::Stub::ModelStatistics,
                  request, &response)
                  .ok());
  EXPECT_EQ(response.model_stats_size(), 1);
  request.set_name("cats");
  EXPECT_EQ(Ask(&inference::GRPCInferenceService::Stub::ModelStatistics,
                request, &response)
                .error_code(),
            grpc::StatusCode::NOT_FOUND);
  request.set_name("");
  EXPECT_EQ(Ask(&inference::GRPCInferenceService::Stub::ModelStatistics,
                request, &response)
                .error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
}

}  // namespace
}  // namespace ddgan
