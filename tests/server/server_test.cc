// The whole server on ports of the system's choice, with an engine that draws
// without a model, seen from outside: gRPC stubs and HTTP.
#include "server/server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/dynamic_message.h>
#include <grpcpp/create_channel_posix.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <httplib.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "ddgan/v1/image_generation.grpc.pb.h"
#include "ddgan/v1/model.grpc.pb.h"
#include "engine/imaging/png_encoder.h"
#include "gmock/gmock.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "server/calls/grpc_status.h"
#include "server/calls/png_provenance.h"
#include "server/connections/listen_address.h"
#include "server/telemetry/log_format.h"
#include "spdlog/sinks/ostream_sink.h"
#include "spdlog/spdlog.h"
#include "tests/fakes/fake_engine.h"
#include "tests/fakes/temporary_folder.h"
#include "tests/server/promtool.h"

namespace ddgan {
namespace {

using grpc::health::v1::Health;
using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

std::string AsString(const std::vector<uint8_t>& bytes) {
  return std::string(bytes.begin(), bytes.end());
}

constexpr ImageShape kShape = {1, 8, 8};

// The PNG that `text` and `pixels` of kShape make.
std::string Png(const std::vector<uint8_t>& pixels, std::vector<PngText> text) {
  PngOptions options;
  options.text = std::move(text);
  return *EncodePng(pixels, kShape, options);
}

// What the server says of the images of RequestFor, made in `steps`.
PngProvenance Provenance(int steps = FakeEngine::kNumTimesteps) {
  return PngProvenance({"digits", 3, std::string(64, 'd')}, 7, steps);
}

std::string ImagePng(uint32_t index) {
  return Png(FakePixels(7, index, kShape, PixelFormat::kUint8),
             Provenance().OfImage(index));
}

v1::GenerateRequest RequestFor(uint32_t count) {
  v1::GenerateRequest request;
  request.set_count(count);
  request.set_seed(7);
  return request;
}

// A picture of 2x1 pixels, which no model has.
v1::Guide Strokes() {
  const std::vector<uint8_t> pixels = {9, 8, 7, 200, 100, 0};
  v1::Guide guide;
  guide.set_png(*EncodePng(pixels, {3, 1, 2}));
  guide.set_steps(2);
  guide.set_fit(v1::GUIDE_FIT_RESIZE);
  return guide;
}

class ServerTest : public ::testing::Test {
 protected:
  void StartServer(ImageShape shape = {1, 8, 8}) {
    options_.listen = {"127.0.0.1", 0};
    options_.http = {"127.0.0.1", 0};
    options_.engine.max_queued_images = 64;
    absl::StatusOr<std::unique_ptr<Server>> server = Server::Start(
        options_, [this, shape](const EngineOptions&, EngineObserver*, Clock*) {
          auto engine = std::make_unique<FakeEngine>(shape);
          engine_ = engine.get();
          return engine;
        });
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(-1);
    // Each test's calls on a connection of their own.
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    // What a test leaves unread stays with the server, beyond 64 KiB.
    arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
    channel_ = grpc::CreateCustomChannel(
        absl::StrCat("127.0.0.1:", server_->grpc_port()),
        grpc::InsecureChannelCredentials(), arguments);
    images_ = v1::ImageGeneration::NewStub(channel_);
  }

  void SetUp() override { StartServer(); }

  grpc::Status Generate(const v1::GenerateRequest& request) {
    context_ = std::make_unique<grpc::ClientContext>();
    response_.Clear();
    return images_->Generate(context_.get(), request, &response_);
  }

  httplib::Result Get(const char* path) {
    return httplib::Client("127.0.0.1", server_->http_port()).Get(path);
  }

  // /metrics, once it contains `wanted`: a call ends for its caller slightly
  // before it is counted.
  std::string MetricsWith(const std::string& wanted) {
    std::string text;
    const absl::Time give_up = absl::Now() + absl::Seconds(30);
    do {
      text = Get("/metrics")->body;
    } while (text.find(wanted) == std::string::npos && absl::Now() < give_up);
    return text;
  }

  // A drain has closed the port that serves images.
  void WaitUntilNobodyCanConnect() {
    const ListenAddress address = {"127.0.0.1", server_->grpc_port()};
    const absl::Time give_up = absl::Now() + absl::Seconds(30);
    while (!absl::IsUnavailable(
               ProbeGrpcListener(address, absl::Seconds(2), [](int) {})) &&
           absl::Now() < give_up) {
      std::this_thread::yield();
    }
  }

  ServerOptions options_ = [] {
    ServerOptions options;
    options.access_log = AccessLogLevel::kNone;
    return options;
  }();
  FakeEngine* engine_ = nullptr;  // The server's.
  std::unique_ptr<Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::ImageGeneration::Stub> images_;
  std::unique_ptr<grpc::ClientContext> context_;
  v1::GenerateResponse response_;
};

// Generate -------------------------------------------------------------------

TEST_F(ServerTest, AnswersWithPngsInOrderOfTheirIndexByDefault) {
  v1::GenerateRequest request = RequestFor(64);
  request.set_first_index(5);
  const grpc::Status status = Generate(request);
  ASSERT_TRUE(status.ok()) << status.error_message();
  ASSERT_EQ(response_.images_size(), 64);
  for (uint32_t i = 0; i < 64; ++i) {
    const v1::GeneratedImage& image = response_.images(i);
    EXPECT_EQ(image.index(), 5 + i);
    EXPECT_EQ(image.data(), ImagePng(5 + i));
  }
}

TEST_F(ServerTest, TellsEverythingNeededToAskForTheSameAgain) {
  ASSERT_TRUE(Generate(RequestFor(1)).ok());
  EXPECT_EQ(response_.model(), "digits");
  EXPECT_EQ(response_.version(), 3);
  EXPECT_EQ(response_.checkpoint_digest(), std::string(64, 'd'));
  EXPECT_EQ(response_.seed(), 7u);
  EXPECT_EQ(response_.num_timesteps(), 4u);
  EXPECT_EQ(response_.shape().channels(), 1u);
  EXPECT_EQ(response_.shape().height(), 8u);
  EXPECT_EQ(response_.shape().width(), 8u);
  EXPECT_EQ(response_.timings().queue().nanos(), 3'000'000);
  EXPECT_EQ(response_.timings().steps().nanos(), 40'000'000);
  EXPECT_GT(response_.timings().encode().nanos(), 0);
}

TEST_F(ServerTest, SendsRawBytesWithoutEncodingThem) {
  v1::GenerateRequest request = RequestFor(2);
  request.set_format(v1::OUTPUT_FORMAT_RAW8);
  ASSERT_TRUE(Generate(request).ok());
  EXPECT_EQ(response_.images(1).data(),
            AsString(FakePixels(7, 1, {1, 8, 8}, PixelFormat::kUint8)));
  EXPECT_EQ(response_.timings().encode().nanos(), 0);
}

TEST_F(ServerTest, SendsFloatsAsTheEngineMadeThem) {
  v1::GenerateRequest request = RequestFor(2);
  request.set_format(v1::OUTPUT_FORMAT_FLOAT32);
  ASSERT_TRUE(Generate(request).ok());
  EXPECT_EQ(response_.images(1).data(),
            AsString(FakePixels(7, 1, {1, 8, 8}, PixelFormat::kFloat32)));
}

TEST_F(ServerTest, DrawsAnotherSeedForEachRequestWithoutOne) {
  v1::GenerateRequest request;
  request.set_count(1);
  ASSERT_TRUE(Generate(request).ok());
  const uint64_t first = response_.seed();
  ASSERT_TRUE(Generate(request).ok());
  EXPECT_NE(response_.seed(), first);
}

TEST_F(ServerTest, SendsTheLargestReplyThatItPromises) {
  server_.reset();
  StartServer({3, 256, 256});
  v1::GenerateRequest request = RequestFor(64);
  request.set_format(v1::OUTPUT_FORMAT_FLOAT32);
  const grpc::Status status = Generate(request);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response_.images_size(), 64);
}

TEST_F(ServerTest, RefusesAReplyThatNoChannelCarries) {
  server_.reset();
  StartServer({3, 512, 512});
  engine_->RefuseRequests(absl::InternalError("the engine was asked"));
  v1::GenerateRequest request = RequestFor(64);
  request.set_format(v1::OUTPUT_FORMAT_FLOAT32);
  const grpc::Status status = Generate(request);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("count: 64"));
}

TEST_F(ServerTest, TakesTheLargestGuideThatItPromises) {
  v1::GenerateRequest request = RequestFor(1);
  std::string png = *EncodePng(std::vector<uint8_t>(64), {1, 8, 8});
  png.resize(1 << 20);  // What follows a PNG's end is nobody's business.
  request.mutable_guide()->set_png(png);
  request.mutable_guide()->set_steps(1);
  const grpc::Status status = Generate(request);
  EXPECT_TRUE(status.ok()) << status.error_message();
}

TEST_F(ServerTest, RefusesBadInputWithTheFieldsNameAndGoesOn) {
  v1::GenerateRequest no_count;
  v1::GenerateRequest bad_format = RequestFor(1);
  bad_format.set_format(static_cast<v1::OutputFormat>(77));
  v1::GenerateRequest bad_index = RequestFor(2);
  bad_index.set_first_index(std::numeric_limits<uint32_t>::max());
  const std::pair<v1::GenerateRequest, const char*> cases[] = {
      {no_count, "count: 0"},
      {RequestFor(65), "count: 65"},
      {bad_format, "format: 77"},
      {bad_index, "first_index: 4294967295"},
  };
  for (const auto& [request, message] : cases) {
    const grpc::Status status = Generate(request);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    EXPECT_THAT(status.error_message(), HasSubstr(message));
  }
  EXPECT_TRUE(Generate(RequestFor(1)).ok());
  const std::string metrics = MetricsWith(
      "code=\"INVALID_ARGUMENT\",method=\"Generate\",model=\"\"} 4");
  EXPECT_THAT(
      metrics,
      HasSubstr("code=\"INVALID_ARGUMENT\",method=\"Generate\",model=\"\"} 4"));
  EXPECT_THAT(metrics,
              HasSubstr("code=\"OK\",method=\"Generate\",model=\"digits\"} 1"));
}

TEST_F(ServerTest, ReportsUnknownModelsAndVersionsAsNotFound) {
  v1::GenerateRequest request = RequestFor(1);
  request.set_model("cats");
  grpc::Status status = Generate(request);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_THAT(status.error_message(), HasSubstr("cats"));
  request.set_model("digits");
  request.set_version(2);
  status = Generate(request);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_THAT(status.error_message(), HasSubstr("version 2"));
  // A caller's text never becomes a label.
  EXPECT_THAT(
      MetricsWith("code=\"NOT_FOUND\",method=\"Generate\",model=\"\"} 2"),
      AllOf(HasSubstr("code=\"NOT_FOUND\",method=\"Generate\",model=\"\"} 2"),
            Not(HasSubstr("cats"))));
}

TEST_F(ServerTest, TellsACallerOfAFullServerWhenToComeBack) {
  engine_->RefuseRequests(absl::ResourceExhaustedError("queue full"));
  const grpc::Status status = Generate(RequestFor(1));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  const auto& trailers = context_->GetServerTrailingMetadata();
  const auto pushback = trailers.find("grpc-retry-pushback-ms");
  ASSERT_NE(pushback, trailers.end());
  EXPECT_EQ(std::string(pushback->second.data(), pushback->second.size()),
            absl::StrCat(absl::ToInt64Milliseconds(kRetryPushback)));
}

TEST_F(ServerTest, RefusesAtOnceWhenTheEncoderHasNoRoom) {
  engine_->HoldRequests();
  // Twice max_queued_images = 64, each held by a call in flight.
  std::vector<std::thread> callers;
  for (int i = 0; i < 2; ++i) {
    callers.emplace_back([this] {
      grpc::ClientContext context;
      v1::GenerateResponse response;
      images_->Generate(&context, RequestFor(64), &response);
    });
  }
  const std::vector<RequestId> held = engine_->WaitForHeld(2);
  EXPECT_EQ(Generate(RequestFor(1)).error_code(),
            grpc::StatusCode::RESOURCE_EXHAUSTED);
  for (RequestId id : held) {
    engine_->FinishHeld(id, absl::InternalError("over"));
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_THAT(MetricsWith("ddgan_rejected_total{reason=\"encoder_full\"} 1"),
              HasSubstr("ddgan_rejected_total{reason=\"encoder_full\"} 1"));
}

TEST_F(ServerTest, PassesAnEngineFailureOnAndGoesOn) {
  engine_->FailRequests(absl::InternalError("step 2 gave NaN"));
  const grpc::Status status = Generate(RequestFor(4));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INTERNAL);
  EXPECT_THAT(status.error_message(), HasSubstr("step 2 gave NaN"));
  engine_->FailRequests(absl::OkStatus());
  EXPECT_TRUE(Generate(RequestFor(4)).ok());
}

TEST_F(ServerTest, CutsAnErrorMessageToWhatATrailerHolds) {
  engine_->RefuseRequests(absl::InternalError(std::string(3000, 'x')));
  const grpc::Status status = Generate(RequestFor(1));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INTERNAL);
  EXPECT_EQ(status.error_message(), std::string(1024, 'x'));
}

TEST_F(ServerTest, RefusesARequestTooLargeToBeOne) {
  v1::GenerateRequest request = RequestFor(1);
  request.set_model(std::string((1 << 20) + (64 << 10), 'm'));
  EXPECT_EQ(Generate(request).error_code(),
            grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_TRUE(Generate(RequestFor(1)).ok());
}

TEST_F(ServerTest, ACancelledCallIsCancelledInTheEngine) {
  engine_->HoldRequests();
  grpc::ClientContext context;
  grpc::Status status;
  std::thread caller([this, &context, &status] {
    v1::GenerateResponse response;
    status = images_->Generate(&context, RequestFor(3), &response);
  });
  const RequestId id = engine_->WaitForHeld(1).front();
  engine_->DeliverHeld(id, 1);
  context.TryCancel();
  caller.join();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::CANCELLED);
  engine_->WaitForCancels(1);
  EXPECT_THAT(
      MetricsWith("code=\"CANCELLED\",method=\"Generate\",model=\"digits\"} 1"),
      HasSubstr("code=\"CANCELLED\",method=\"Generate\",model=\"digits\"} 1"));
}

TEST_F(ServerTest, ADeadlineReachesTheEngineAndEndsTheCall) {
  engine_->HoldRequests();
  grpc::ClientContext context;
  const auto deadline =
      std::chrono::system_clock::now() + std::chrono::milliseconds(200);
  context.set_deadline(deadline);
  grpc::Status status;
  std::thread caller([this, &context, &status] {
    v1::GenerateResponse response;
    status = images_->Generate(&context, RequestFor(1), &response);
  });
  const RequestId id = engine_->WaitForHeld(1).front();
  // gRPC sends the time that is left, so the two differ by the transit.
  const absl::Duration difference =
      engine_->HeldRequest(id).deadline - absl::FromChrono(deadline);
  EXPECT_LT(absl::AbsDuration(difference), absl::Seconds(5));
  caller.join();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  engine_->WaitForCancels(1);
  EXPECT_THAT(
      MetricsWith(
          "code=\"DEADLINE_EXCEEDED\",method=\"Generate\",model=\"digits\"} 1"),
      HasSubstr("code=\"DEADLINE_EXCEEDED\",method=\"Generate\",model="
                "\"digits\"} 1"));
}

TEST_F(ServerTest, ServesManyCallsAtOnce) {
  std::vector<std::thread> callers;
  for (uint64_t seed = 0; seed < 8; ++seed) {
    callers.emplace_back([this, seed] {
      for (int i = 0; i < 10; ++i) {
        v1::GenerateRequest request = RequestFor(4);
        request.set_seed(seed);
        request.set_format(v1::OUTPUT_FORMAT_RAW8);
        grpc::ClientContext context;
        v1::GenerateResponse response;
        ASSERT_TRUE(images_->Generate(&context, request, &response).ok());
        EXPECT_EQ(
            response.images(3).data(),
            AsString(FakePixels(seed, 3, {1, 8, 8}, PixelFormat::kUint8)));
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
}

// GenerateStream -------------------------------------------------------------

v1::GenerateStreamRequest StreamRequestFor(uint32_t count, bool previews) {
  v1::GenerateStreamRequest request;
  *request.mutable_request() = RequestFor(count);
  request.set_previews(previews);
  return request;
}

// A call whose events the test reads when it wants to.
class StreamCall {
 public:
  StreamCall(v1::ImageGeneration::Stub* stub,
             const v1::GenerateStreamRequest& request,
             absl::Duration timeout = absl::InfiniteDuration(),
             const std::string& client_id = "") {
    if (!client_id.empty()) {
      context_.AddMetadata("ddgan-client-id", client_id);
    }
    if (timeout != absl::InfiniteDuration()) {
      context_.set_deadline(absl::ToChronoTime(absl::Now() + timeout));
    }
    reader_ = stub->GenerateStream(&context_, request);
  }

  // The next event; one without content at the end of the stream.
  v1::GenerateStreamResponse Read() {
    v1::GenerateStreamResponse event;
    if (!reader_->Read(&event)) event.Clear();
    return event;
  }

  // Reads what is left, by kind.
  struct Rest {
    std::vector<v1::StreamPreview> previews;
    std::map<uint32_t, std::string> images;
    std::vector<v1::StreamSummary> summaries;
    grpc::Status status;
  };
  Rest ReadRest() {
    Rest rest;
    v1::GenerateStreamResponse event;
    while (reader_->Read(&event)) {
      EXPECT_TRUE(rest.summaries.empty()) << "something after the summary";
      if (event.has_preview()) {
        EXPECT_EQ(rest.images.count(event.preview().index()), 0u)
            << "a preview after its image";
        rest.previews.push_back(event.preview());
      } else if (event.has_image()) {
        EXPECT_TRUE(
            rest.images.emplace(event.image().index(), event.image().data())
                .second);
      } else if (event.has_summary()) {
        rest.summaries.push_back(event.summary());
      } else {
        ADD_FAILURE() << event.ShortDebugString();
      }
    }
    rest.status = reader_->Finish();
    return rest;
  }

  void Cancel() { context_.TryCancel(); }

  std::string Trailer(const char* key) const {
    const auto& trailers = context_.GetServerTrailingMetadata();
    const auto found = trailers.find(key);
    if (found == trailers.end()) return "";
    return std::string(found->second.data(), found->second.size());
  }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<v1::GenerateStreamResponse>> reader_;
};

TEST_F(ServerTest, StreamsAcceptedThenImagesThenASummary) {
  v1::GenerateStreamRequest request = StreamRequestFor(64, false);
  request.mutable_request()->set_first_index(5);
  StreamCall call(images_.get(), request);
  const v1::StreamAccepted accepted = call.Read().accepted();
  EXPECT_EQ(accepted.model(), "digits");
  EXPECT_EQ(accepted.version(), 3);
  EXPECT_EQ(accepted.checkpoint_digest(), std::string(64, 'd'));
  EXPECT_EQ(accepted.seed(), 7u);
  EXPECT_EQ(accepted.num_timesteps(), 4u);
  EXPECT_EQ(accepted.shape().width(), 8u);
  EXPECT_EQ(accepted.images_ahead(), 5u);
  EXPECT_EQ(accepted.expected_start().seconds(), 1);
  EXPECT_EQ(accepted.expected_start().nanos(), 250'000'000);

  const StreamCall::Rest rest = call.ReadRest();
  EXPECT_TRUE(rest.status.ok()) << rest.status.error_message();
  EXPECT_TRUE(rest.previews.empty());
  ASSERT_EQ(rest.images.size(), 64u);
  for (uint32_t index = 5; index < 69; ++index) {
    EXPECT_EQ(rest.images.at(index), ImagePng(index));
  }
  ASSERT_EQ(rest.summaries.size(), 1u);
  const v1::StreamSummary& summary = rest.summaries[0];
  EXPECT_EQ(summary.images(), 64u);
  EXPECT_EQ(summary.previews_sent(), 0u);
  EXPECT_EQ(summary.previews_dropped(), 0u);
  EXPECT_EQ(summary.timings().queue().nanos(), 3'000'000);
  EXPECT_EQ(summary.timings().steps().nanos(), 40'000'000);
  EXPECT_GT(summary.timings().encode().nanos(), 0);
}

TEST_F(ServerTest, StreamsEachPreviewInTheRequestsFormatAsItIsMade) {
  engine_->HoldRequests();
  for (const auto& [format, pixel_format] :
       {std::pair{v1::OUTPUT_FORMAT_PNG, PixelFormat::kUint8},
        std::pair{v1::OUTPUT_FORMAT_FLOAT32, PixelFormat::kFloat32}}) {
    v1::GenerateStreamRequest request = StreamRequestFor(2, true);
    request.mutable_request()->set_format(format);
    StreamCall call(images_.get(), request);
    EXPECT_TRUE(call.Read().has_accepted());
    const RequestId id = engine_->WaitForHeld(1).front();
    EXPECT_TRUE(engine_->HeldRequest(id).previews);
    for (uint32_t step : {3, 2, 1}) {
      engine_->DeliverPreviewHeld(id, 1, step);
      const v1::StreamPreview preview = call.Read().preview();
      EXPECT_EQ(preview.index(), 1u);
      EXPECT_EQ(preview.step(), step);
      const std::vector<uint8_t> pixels =
          FakePreviewPixels(7, 1, step, {1, 8, 8}, pixel_format);
      EXPECT_EQ(preview.data(),
                format == v1::OUTPUT_FORMAT_PNG
                    ? Png(pixels, Provenance().OfPreview(1, step))
                    : AsString(pixels));
    }
    engine_->DeliverHeld(id, 1);
    EXPECT_EQ(call.Read().image().index(), 1u);
    engine_->DeliverHeld(id, 0);
    EXPECT_EQ(call.Read().image().index(), 0u);
    engine_->FinishHeld(id, absl::OkStatus());
    const v1::StreamSummary summary = call.Read().summary();
    EXPECT_EQ(summary.images(), 2u);
    EXPECT_EQ(summary.previews_sent(), 3u);
    EXPECT_EQ(summary.previews_dropped(), 0u);
    EXPECT_TRUE(call.ReadRest().status.ok());
  }
  const std::string metrics =
      MetricsWith("code=\"OK\",method=\"GenerateStream\",model=\"digits\"} 2");
  EXPECT_THAT(metrics,
              AllOf(HasSubstr("ddgan_time_to_first_preview_seconds_count 2"),
                    HasSubstr("ddgan_previews_dropped_total 0")));
  EXPECT_EQ(PromtoolComplaints(metrics), "");
}

TEST_F(ServerTest, ASlowReaderLosesPreviewsAndNoImage) {
  server_.reset();
  StartServer({3, 512, 512});
  engine_->HoldRequests();
  v1::GenerateStreamRequest request = StreamRequestFor(2, true);
  request.mutable_request()->set_format(v1::OUTPUT_FORMAT_RAW8);
  StreamCall call(images_.get(), request);
  const RequestId id = engine_->WaitForHeld(1).front();
  for (int round = 0; round < 10; ++round) {
    for (uint32_t position : {0, 1}) {
      engine_->DeliverPreviewHeld(id, position, 3);
    }
  }
  engine_->DeliverHeld(id, 0);
  engine_->DeliverHeld(id, 1);
  engine_->FinishHeld(id, absl::OkStatus());

  EXPECT_TRUE(call.Read().has_accepted());
  const StreamCall::Rest rest = call.ReadRest();
  EXPECT_TRUE(rest.status.ok()) << rest.status.error_message();
  EXPECT_EQ(rest.images.size(), 2u);
  for (const auto& [index, data] : rest.images) {
    EXPECT_EQ(data, AsString(FakePixels(7, index, {3, 512, 512},
                                        PixelFormat::kUint8)));
  }
  ASSERT_EQ(rest.summaries.size(), 1u);
  const v1::StreamSummary& summary = rest.summaries[0];
  EXPECT_EQ(summary.images(), 2u);
  EXPECT_EQ(summary.previews_sent(), rest.previews.size());
  EXPECT_EQ(summary.previews_sent() + summary.previews_dropped(), 20u);
  // One that is being written, one encoded, and one of each image that waits.
  EXPECT_LE(summary.previews_sent(), 4u);
  const std::string dropped = absl::StrCat("\nddgan_previews_dropped_total ",
                                           summary.previews_dropped());
  EXPECT_THAT(MetricsWith(dropped), HasSubstr(dropped));
}

TEST_F(ServerTest, AStreamKeepsItsEncoderRoomUntilItsLastImageIsRead) {
  server_.reset();
  StartServer({3, 512, 512});
  v1::GenerateStreamRequest request = StreamRequestFor(64, false);
  request.mutable_request()->set_format(v1::OUTPUT_FORMAT_RAW8);
  // Together the room of 2 * max_queued_images.
  StreamCall first(images_.get(), request);
  StreamCall second(images_.get(), request);
  EXPECT_TRUE(first.Read().has_accepted());
  EXPECT_TRUE(second.Read().has_accepted());
  EXPECT_EQ(Generate(RequestFor(1)).error_code(),
            grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(first.ReadRest().images.size(), 64u);
  EXPECT_TRUE(Generate(RequestFor(1)).ok());
  EXPECT_EQ(second.ReadRest().images.size(), 64u);
}

TEST_F(ServerTest, ACallerMayKeepAPreviewAndCancelTheRest) {
  engine_->HoldRequests();
  StreamCall call(images_.get(), StreamRequestFor(1, true));
  EXPECT_TRUE(call.Read().has_accepted());
  engine_->DeliverPreviewHeld(engine_->WaitForHeld(1).front(), 0, 3);
  EXPECT_EQ(call.Read().preview().step(), 3u);
  call.Cancel();
  EXPECT_EQ(call.ReadRest().status.error_code(), grpc::StatusCode::CANCELLED);
  engine_->WaitForCancels(1);
  const char* const counted =
      "code=\"CANCELLED\",method=\"GenerateStream\",model=\"digits\"} 1";
  EXPECT_THAT(MetricsWith(counted), HasSubstr(counted));
}

TEST_F(ServerTest, AStreamWhoseConnectionIsLostIsCancelledInTheEngine) {
  engine_->HoldRequests();
  const int connection = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(server_->grpc_port()));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(connect(connection, reinterpret_cast<sockaddr*>(&address),
                    sizeof(address)),
            0);
  ASSERT_EQ(fcntl(connection, F_SETFL, O_NONBLOCK), 0);
  const auto stub = v1::ImageGeneration::NewStub(
      grpc::CreateInsecureChannelFromFd("server", connection));
  StreamCall call(stub.get(), StreamRequestFor(1, false));
  EXPECT_TRUE(call.Read().has_accepted());
  shutdown(connection, SHUT_RDWR);  // The channel closes it.
  engine_->WaitForCancels(1);
  EXPECT_EQ(call.ReadRest().status.error_code(), grpc::StatusCode::UNAVAILABLE);
  const char* const counted =
      "code=\"CANCELLED\",method=\"GenerateStream\",model=\"digits\"} 1";
  EXPECT_THAT(MetricsWith(counted), HasSubstr(counted));
}

TEST_F(ServerTest, ADeadlineEndsAStream) {
  engine_->HoldRequests();
  StreamCall call(images_.get(), StreamRequestFor(1, false),
                  absl::Milliseconds(200));
  engine_->WaitForCancels(1);
  EXPECT_EQ(call.ReadRest().status.error_code(),
            grpc::StatusCode::DEADLINE_EXCEEDED);
  const char* const counted =
      "code=\"DEADLINE_EXCEEDED\",method=\"GenerateStream\",model=\"digits\"} "
      "1";
  EXPECT_THAT(MetricsWith(counted), HasSubstr(counted));
}

TEST_F(ServerTest, RefusesAStreamAsItRefusesACall) {
  StreamCall unset(images_.get(), v1::GenerateStreamRequest());
  grpc::Status status = unset.ReadRest().status;
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("count: 0"));

  v1::GenerateStreamRequest unknown = StreamRequestFor(1, false);
  unknown.mutable_request()->set_model("cats");
  StreamCall cats(images_.get(), unknown);
  EXPECT_EQ(cats.ReadRest().status.error_code(), grpc::StatusCode::NOT_FOUND);

  engine_->RefuseRequests(absl::ResourceExhaustedError("queue full"));
  StreamCall full(images_.get(), StreamRequestFor(1, false));
  EXPECT_EQ(full.ReadRest().status.error_code(),
            grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(full.Trailer("grpc-retry-pushback-ms"),
            absl::StrCat(absl::ToInt64Milliseconds(kRetryPushback)));
}

TEST_F(ServerTest, SendsTheImagesThatWereDoneBeforeTheEngineFailed) {
  engine_->HoldRequests();
  StreamCall call(images_.get(), StreamRequestFor(3, true));
  EXPECT_TRUE(call.Read().has_accepted());
  const RequestId id = engine_->WaitForHeld(1).front();
  engine_->DeliverHeld(id, 2);
  EXPECT_EQ(call.Read().image().index(), 2u);
  engine_->DeliverPreviewHeld(id, 0, 3);
  engine_->DeliverHeld(id, 1);
  engine_->FinishHeld(id, absl::InternalError("step 2 gave NaN"));
  const StreamCall::Rest rest = call.ReadRest();
  EXPECT_EQ(rest.images.size(), 1u);
  EXPECT_EQ(rest.images.count(1), 1u);
  EXPECT_TRUE(rest.summaries.empty());
  EXPECT_EQ(rest.status.error_code(), grpc::StatusCode::INTERNAL);
  EXPECT_EQ(rest.status.error_message(), "step 2 gave NaN");
}

TEST_F(ServerTest, TellsTheEngineWhoCallsAndHowUrgentItIs) {
  engine_->HoldRequests();
  v1::GenerateStreamRequest request = StreamRequestFor(1, false);
  request.mutable_request()->set_request_class(v1::REQUEST_CLASS_BATCH);
  const StreamCall unnamed(images_.get(), request);
  GenerationRequest held =
      engine_->HeldRequest(engine_->WaitForHeld(1).front());
  EXPECT_EQ(held.caller, "127.0.0.1");
  EXPECT_EQ(held.request_class, RequestClass::kBatch);

  const StreamCall named(images_.get(), StreamRequestFor(1, false),
                         absl::InfiniteDuration(), "night job");
  held = engine_->HeldRequest(engine_->WaitForHeld(2).back());
  EXPECT_EQ(held.caller, "night job");
  EXPECT_EQ(held.request_class, RequestClass::kInteractive);

  StreamCall misnamed(images_.get(), request, absl::InfiniteDuration(),
                      std::string(65, 'x'));
  const grpc::Status status = misnamed.ReadRest().status;
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("ddgan-client-id: name of 65"));
}

TEST_F(ServerTest, ServesManyStreamsAtOnceAndSomeThatLeave) {
  std::vector<std::thread> callers;
  for (uint64_t seed = 0; seed < 8; ++seed) {
    callers.emplace_back([this, seed] {
      for (int i = 0; i < 10; ++i) {
        v1::GenerateStreamRequest request = StreamRequestFor(4, true);
        request.mutable_request()->set_seed(seed);
        request.mutable_request()->set_format(v1::OUTPUT_FORMAT_RAW8);
        const uint32_t steps = seed % 2 == 0 ? 2 : 4;
        if (steps == 2) *request.mutable_request()->mutable_guide() = Strokes();
        StreamCall call(images_.get(), request);
        if (i % 3 == 1) call.Cancel();
        if (call.Read().has_accepted() && i % 3 == 2) call.Cancel();
        const StreamCall::Rest rest = call.ReadRest();
        if (i % 3 != 0) continue;
        ASSERT_TRUE(rest.status.ok()) << rest.status.error_message();
        ASSERT_EQ(rest.images.size(), 4u);
        EXPECT_EQ(rest.images.at(3), AsString(FakePixels(seed, 3, {1, 8, 8},
                                                         PixelFormat::kUint8)));
        EXPECT_EQ(rest.summaries.at(0).previews_sent(), rest.previews.size());
        EXPECT_EQ(rest.summaries.at(0).previews_sent() +
                      rest.summaries.at(0).previews_dropped(),
                  4u * (steps - 1));
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
}

// Guides ---------------------------------------------------------------------

// Waits for the one request that is held, and expects that it has the guide of
// Strokes().
RequestId ExpectStrokesHeld(FakeEngine* engine) {
  const RequestId id = engine->WaitForHeld(1).front();
  const std::optional<Guide> guide = engine->HeldRequest(id).guide;
  if (!guide.has_value()) {
    ADD_FAILURE() << "no guide";
    return id;
  }
  const std::shared_ptr<const Picture> picture = engine->HeldGuide(id);
  EXPECT_EQ(picture->shape, (ImageShape{3, 1, 2}));
  EXPECT_THAT(picture->pixels, ElementsAre(9, 8, 7, 200, 100, 0));
  EXPECT_EQ(guide->picture_bytes, 6);
  EXPECT_EQ(guide->steps, 2);
  EXPECT_EQ(guide->fit, GuideFit::kResize);
  return id;
}

TEST_F(ServerTest, AGuideReachesTheEngineAsAPicture) {
  engine_->HoldRequests();
  v1::GenerateRequest request = RequestFor(1);
  *request.mutable_guide() = Strokes();
  grpc::Status status;
  std::thread caller([&] { status = Generate(request); });
  const RequestId id = ExpectStrokesHeld(engine_);
  engine_->DeliverHeld(id, 0);
  engine_->FinishHeld(id, absl::OkStatus());
  caller.join();
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response_.num_timesteps(), 4u);
  EXPECT_EQ(response_.images(0).data(),
            Png(FakePixels(7, 0, kShape, PixelFormat::kUint8),
                Provenance(/*steps=*/2).OfImage(0)));
}

TEST_F(ServerTest, AGuidedStreamReachesTheEngineAsAPicture) {
  engine_->HoldRequests();
  v1::GenerateStreamRequest request = StreamRequestFor(1, true);
  *request.mutable_request()->mutable_guide() = Strokes();
  StreamCall call(images_.get(), request);
  const RequestId id = ExpectStrokesHeld(engine_);
  EXPECT_TRUE(call.Read().has_accepted());
  engine_->DeliverPreviewHeld(id, 0, 1);
  EXPECT_EQ(call.Read().preview().data(),
            Png(FakePreviewPixels(7, 0, 1, kShape, PixelFormat::kUint8),
                Provenance(/*steps=*/2).OfPreview(0, 1)));
  engine_->DeliverHeld(id, 0);
  engine_->FinishHeld(id, absl::OkStatus());
  const StreamCall::Rest rest = call.ReadRest();
  EXPECT_TRUE(rest.status.ok()) << rest.status.error_message();
  EXPECT_EQ(rest.images.size(), 1u);
}

TEST_F(ServerTest, RefusesABadGuideWithTheFieldsNameAndGoesOn) {
  v1::GenerateStreamRequest jpeg = StreamRequestFor(1, false);
  *jpeg.mutable_request()->mutable_guide() = Strokes();
  jpeg.mutable_request()->mutable_guide()->set_png("\xff\xd8\xff\xe0 JFIF");
  v1::GenerateStreamRequest no_steps = StreamRequestFor(1, false);
  *no_steps.mutable_request()->mutable_guide() = Strokes();
  no_steps.mutable_request()->mutable_guide()->clear_steps();
  for (const auto& [request, field] : {std::pair{jpeg, "guide.png: "},
                                       std::pair{no_steps, "guide.steps: 0"}}) {
    const grpc::Status status = Generate(request.request());
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    EXPECT_THAT(status.error_message(), HasSubstr(field));
    StreamCall call(images_.get(), request);
    const StreamCall::Rest rest = call.ReadRest();
    EXPECT_EQ(rest.status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    EXPECT_THAT(rest.status.error_message(), HasSubstr(field));
  }
  EXPECT_TRUE(Generate(RequestFor(64)).ok());  // All the room is free again.
}

TEST_F(ServerTest, PassesOnWhatTheEngineSaysOfAGuide) {
  v1::GenerateStreamRequest request = StreamRequestFor(1, false);
  *request.mutable_request()->mutable_guide() = Strokes();
  engine_->RefuseRequests(absl::InvalidArgumentError("guide.steps: 9"));
  grpc::Status status = Generate(request.request());
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(status.error_message(), "guide.steps: 9");

  engine_->RefuseRequests(absl::ResourceExhaustedError("queue full"));
  StreamCall full(images_.get(), request);
  EXPECT_EQ(full.ReadRest().status.error_code(),
            grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(full.Trailer("grpc-retry-pushback-ms"),
            absl::StrCat(absl::ToInt64Milliseconds(kRetryPushback)));
}

TEST_F(ServerTest, GuidesHoldUpNobodyElseAndMayBeCancelledOnTheirWay) {
  server_.reset();
  options_.encode_threads = 1;
  StartServer();
  engine_->HoldRequests();
  engine_->StallGuided();
  v1::GenerateStreamRequest request = StreamRequestFor(1, false);
  *request.mutable_request()->mutable_guide() = Strokes();
  StreamCall submitting(images_.get(), request);
  engine_->WaitForStalled();
  // The only decoder thread is taken, so this picture is not decoded yet.
  StreamCall waiting(images_.get(), request);
  StreamCall unguided(images_.get(), StreamRequestFor(1, false));
  EXPECT_TRUE(unguided.Read().has_accepted());
  EXPECT_EQ(engine_->stalled(), 1);

  submitting.Cancel();
  waiting.Cancel();
  EXPECT_EQ(submitting.ReadRest().status.error_code(),
            grpc::StatusCode::CANCELLED);
  EXPECT_EQ(waiting.ReadRest().status.error_code(),
            grpc::StatusCode::CANCELLED);
  engine_->Resume();
  engine_->WaitForCancels(1);

  const RequestId id = engine_->WaitForHeld(1).front();
  engine_->DeliverHeld(id, 0);
  EXPECT_TRUE(unguided.Read().has_image());
  engine_->FinishHeld(id, absl::OkStatus());
  EXPECT_TRUE(unguided.ReadRest().status.ok());
}

// Models ---------------------------------------------------------------------

class ModelServiceTest : public ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    models_ = v1::ModelService::NewStub(channel_);
  }

  absl::StatusOr<v1::Model> GetModel(const std::string& name) {
    grpc::ClientContext context;
    v1::GetModelRequest request;
    request.set_model(name);
    v1::GetModelResponse response;
    const grpc::Status status = models_->GetModel(&context, request, &response);
    return ResultOf(status, response.model());
  }
  absl::StatusOr<v1::ModelVersion> Pin(const std::string& model,
                                       int64_t version) {
    grpc::ClientContext context;
    v1::PinVersionRequest request;
    request.set_model(model);
    request.set_version(version);
    v1::PinVersionResponse response;
    const grpc::Status status =
        models_->PinVersion(&context, request, &response);
    return ResultOf(status, response.version());
  }
  absl::StatusOr<v1::Model> Unpin(const std::string& model) {
    grpc::ClientContext context;
    v1::UnpinVersionRequest request;
    request.set_model(model);
    v1::UnpinVersionResponse response;
    const grpc::Status status =
        models_->UnpinVersion(&context, request, &response);
    return ResultOf(status, response.model());
  }
  absl::StatusOr<v1::ModelVersion> RollBack(const std::string& model) {
    grpc::ClientContext context;
    v1::RollBackRequest request;
    request.set_model(model);
    v1::RollBackResponse response;
    const grpc::Status status = models_->RollBack(&context, request, &response);
    return ResultOf(status, response.version());
  }

  std::unique_ptr<v1::ModelService::Stub> models_;

 private:
  template <typename Result>
  static absl::StatusOr<Result> ResultOf(const grpc::Status& status,
                                         const Result& result) {
    if (status.ok()) return result;
    return absl::Status(static_cast<absl::StatusCode>(status.error_code()),
                        status.error_message());
  }
};

TEST_F(ModelServiceTest, ListsEveryModelWithItsVersions) {
  engine_->SetModel({"cats", std::nullopt, {}});
  grpc::ClientContext context;
  v1::ListModelsResponse response;
  ASSERT_TRUE(models_->ListModels(&context, {}, &response).ok());
  ASSERT_EQ(response.models_size(), 2);
  EXPECT_EQ(response.models(0).name(), "cats");
  const v1::Model& digits = response.models(1);
  EXPECT_EQ(digits.name(), "digits");
  EXPECT_EQ(digits.live_version(), 3);
  EXPECT_FALSE(digits.has_pinned_version());
  ASSERT_EQ(digits.versions_size(), 4);
  EXPECT_EQ(digits.versions(0).state(), v1::MODEL_VERSION_STATE_ON_DISK);
  EXPECT_EQ(digits.versions(1).state(), v1::MODEL_VERSION_STATE_LIVE);
  EXPECT_EQ(digits.versions(2).state(), v1::MODEL_VERSION_STATE_REFUSED);
  EXPECT_THAT(digits.versions(2).reason(), HasSubstr("digest"));
  EXPECT_EQ(digits.versions(3).state(), v1::MODEL_VERSION_STATE_LOADED);
}

TEST_F(ModelServiceTest, GetsOneModelOrNamesThoseThereAre) {
  engine_->SetModel({"cats", std::nullopt, {}});
  EXPECT_EQ(GetModel("digits")->live_version(), 3);
  EXPECT_EQ(GetModel("dogs").status(),
            absl::NotFoundError("model: no model 'dogs'; there are cats, "
                                "digits"));
  engine_->RemoveModel("cats");
  engine_->RemoveModel("digits");
  EXPECT_EQ(GetModel("digits").status(),
            absl::NotFoundError("model: no model 'digits'; there is none"));
}

TEST_F(ModelServiceTest, APinOfALoadedVersionIsLiveAtOnceUntilItIsTakenBack) {
  const absl::StatusOr<v1::ModelVersion> pinned = Pin("digits", 1);
  ASSERT_TRUE(pinned.ok()) << pinned.status();
  EXPECT_EQ(pinned->version(), 1);
  EXPECT_EQ(pinned->state(), v1::MODEL_VERSION_STATE_LIVE);
  EXPECT_EQ(GetModel("digits")->live_version(), 1);
  EXPECT_EQ(GetModel("digits")->pinned_version(), 1);
  const absl::StatusOr<v1::Model> unpinned = Unpin("digits");
  ASSERT_TRUE(unpinned.ok()) << unpinned.status();
  EXPECT_EQ(unpinned->name(), "digits");
  EXPECT_FALSE(unpinned->has_pinned_version());
  EXPECT_TRUE(Unpin("digits").ok());
}

TEST_F(ModelServiceTest, APinDoesNotWaitForAVersionToBeLoaded) {
  const absl::StatusOr<v1::ModelVersion> pinned = Pin("digits", 4);
  ASSERT_TRUE(pinned.ok()) << pinned.status();
  EXPECT_EQ(pinned->state(), v1::MODEL_VERSION_STATE_LOADING);
  EXPECT_EQ(GetModel("digits")->live_version(), 3);
  engine_->EndLoading("digits", 4);
  EXPECT_EQ(GetModel("digits")->live_version(), 4);
}

TEST_F(ModelServiceTest, RollsBackToTheNewestOlderVersion) {
  const absl::StatusOr<v1::ModelVersion> version = RollBack("digits");
  ASSERT_TRUE(version.ok()) << version.status();
  EXPECT_EQ(version->version(), 1);
  EXPECT_EQ(version->state(), v1::MODEL_VERSION_STATE_LIVE);
  EXPECT_EQ(GetModel("digits")->pinned_version(), 1);
  EXPECT_TRUE(absl::IsFailedPrecondition(RollBack("digits").status()));
}

TEST_F(ModelServiceTest, PassesOnWhyTheEngineRefuses) {
  absl::Status status = Pin("digits", 2).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("digest differs"));
  EXPECT_TRUE(absl::IsNotFound(Pin("digits", 9).status()));
  EXPECT_TRUE(absl::IsNotFound(Pin("dogs", 1).status()));
  EXPECT_TRUE(absl::IsNotFound(Unpin("dogs").status()));
  EXPECT_TRUE(absl::IsNotFound(RollBack("dogs").status()));
  engine_->RefuseControl(absl::UnavailableError("state_dir: disk full"));
  for (const absl::Status& refused :
       {Pin("digits", 1).status(), Unpin("digits").status(),
        RollBack("digits").status()}) {
    EXPECT_EQ(refused, absl::UnavailableError("state_dir: disk full"));
  }
}

TEST_F(ModelServiceTest, RefusesToActOnNoModelOrNoVersion) {
  for (const absl::Status& status :
       {GetModel("").status(), Pin("", 1).status(), Unpin("").status(),
        RollBack("").status()}) {
    EXPECT_EQ(status, absl::InvalidArgumentError(
                          "model: name of 0 bytes, allowed are [1, 64]"));
  }
  EXPECT_EQ(Pin("digits", 0).status(),
            absl::InvalidArgumentError("version: 0 is out of range [1, "
                                       "9223372036854775807]"));
  EXPECT_FALSE(GetModel("digits")->has_pinned_version());
}

TEST_F(ModelServiceTest, AHangingDiskHoldsUpNothingButPins) {
  engine_->StallPins();
  std::vector<std::thread> callers;
  for (int i = 0; i < 16; ++i) {
    callers.emplace_back([this] { EXPECT_TRUE(Pin("digits", 1).ok()); });
  }
  engine_->WaitForStalledPin();
  EXPECT_EQ(GetModel("digits")->live_version(), 3);
  EXPECT_TRUE(Generate(RequestFor(1)).ok());
  engine_->ResumePins();
  for (std::thread& caller : callers) caller.join();
}

// A watch whose events the test reads when it wants to.
class WatchCall {
 public:
  explicit WatchCall(v1::ModelService::Stub* stub)
      : reader_(stub->WatchModels(&context_, {})) {}

  // "digits live 3 pinned 4", "cats", "no cats"; "" at the end of the stream.
  std::string Read() {
    v1::WatchModelsResponse event;
    if (!reader_->Read(&event)) return "";
    if (!event.has_model()) return absl::StrCat("no ", event.removed_model());
    const v1::Model& model = event.model();
    return absl::StrCat(model.name(),
                        model.has_live_version()
                            ? absl::StrCat(" live ", model.live_version())
                            : "",
                        model.has_pinned_version()
                            ? absl::StrCat(" pinned ", model.pinned_version())
                            : "");
  }

  grpc::Status Finish() { return reader_->Finish(); }
  void Cancel() { context_.TryCancel(); }

 private:
  grpc::ClientContext context_;
  const std::unique_ptr<grpc::ClientReader<v1::WatchModelsResponse>> reader_;
};

// So large that what is not read stays with the server.
ModelStatus LargeModel(std::optional<int64_t> pinned) {
  ModelVersionStatus version;
  version.identity = {"large", 1, ""};
  version.reason = std::string(1 << 20, 'x');
  return {"large", pinned, {version}};
}

TEST_F(ModelServiceTest, AWatchTellsEveryModelAndThenEachChange) {
  engine_->SetModel({"cats", std::nullopt, {}});
  WatchCall watch(models_.get());
  EXPECT_EQ(watch.Read(), "cats");
  EXPECT_EQ(watch.Read(), "digits live 3");
  ASSERT_TRUE(Pin("digits", 4).ok());
  EXPECT_EQ(watch.Read(), "digits live 3 pinned 4");
  engine_->EndLoading("digits", 4);
  EXPECT_EQ(watch.Read(), "digits live 4 pinned 4");
  engine_->RemoveModel("cats");
  EXPECT_EQ(watch.Read(), "no cats");
}

TEST_F(ModelServiceTest, AWatchOfNoModelTellsTheFirstThatComes) {
  engine_->RemoveModel("digits");
  WatchCall watch(models_.get());
  engine_->WaitForWatches(1);
  engine_->SetModel({"cats", std::nullopt, {}});
  EXPECT_EQ(watch.Read(), "cats");
}

TEST_F(ModelServiceTest, ASlowReaderOfAWatchGetsTheNewestStateAndNoBacklog) {
  engine_->RemoveModel("digits");
  WatchCall watch(models_.get());
  engine_->WaitForWatches(1);
  for (int64_t pinned = 1; pinned <= 50; ++pinned) {
    engine_->SetModel(LargeModel(pinned));
  }
  int events = 0;
  std::string last;
  while (last != "large pinned 50") {
    last = watch.Read();
    ASSERT_NE(last, "");
    ++events;
  }
  // What gRPC had taken, and the newest.
  EXPECT_LE(events, 5);
  engine_->RemoveModel("large");
  EXPECT_EQ(watch.Read(), "no large");
}

TEST_F(ModelServiceTest, AWatchWhoseCallerLeavesListensNoLonger) {
  WatchCall reads(models_.get());
  EXPECT_EQ(reads.Read(), "digits live 3");
  engine_->SetModel(LargeModel(1));
  WatchCall does_not_read(models_.get());
  engine_->WaitForWatches(2);
  reads.Cancel();
  engine_->WaitForWatches(1);
  does_not_read.Cancel();
  engine_->WaitForWatches(0);
  EXPECT_EQ(reads.Finish().error_code(), grpc::StatusCode::CANCELLED);
}

TEST_F(ModelServiceTest, WatchesComeAndGoWhileModelsChange) {
  std::vector<std::thread> callers;
  for (int i = 0; i < 4; ++i) {
    callers.emplace_back([this] {
      for (int round = 0; round < 20; ++round) {
        WatchCall watch(models_.get());
        EXPECT_NE(watch.Read(), "");
        watch.Cancel();
      }
    });
  }
  for (int64_t pinned = 1; pinned <= 200; ++pinned) {
    engine_->SetModel({"cats", pinned, {}});
  }
  for (std::thread& caller : callers) caller.join();
  engine_->WaitForWatches(0);
}

TEST_F(ModelServiceTest, AStopEndsWatchesBeforeItWaitsForWork) {
  engine_->HoldRequests();
  StreamCall call(images_.get(), StreamRequestFor(1, false));
  EXPECT_TRUE(call.Read().has_accepted());
  const RequestId id = engine_->WaitForHeld(1).front();
  WatchCall watch(models_.get());
  EXPECT_EQ(watch.Read(), "digits live 3");
  std::thread stopper([this] { server_->Stop(absl::InfiniteDuration()); });
  EXPECT_EQ(watch.Read(), "");
  const grpc::Status status = watch.Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(status.error_message(), "the server is shutting down");

  engine_->FinishHeld(id, absl::OkStatus());
  stopper.join();
}

TEST_F(ModelServiceTest, AWatcherThatReadsNothingDoesNotHoldUpAStop) {
  WatchCall watch(models_.get());
  EXPECT_EQ(watch.Read(), "digits live 3");
  engine_->SetModel(LargeModel(1));
  server_->Stop(absl::ZeroDuration());
  while (!watch.Read().empty()) continue;
  EXPECT_FALSE(watch.Finish().ok());
}

// Limits ---------------------------------------------------------------------

v1::GenerateStreamRequest LargeStreamRequestFor(uint32_t count) {
  v1::GenerateStreamRequest request = StreamRequestFor(count, false);
  request.mutable_request()->set_format(v1::OUTPUT_FORMAT_RAW8);
  return request;
}

TEST_F(ServerTest, RefusesACallWhoseReplyTheCallerHasNoRoomFor) {
  server_.reset();
  // Each image is 768 KiB; a stream of 8 books 11 of them.
  options_.limits.replies = {.total = 64 << 20, .per_caller = 10 << 20};
  StartServer({3, 512, 512});
  StreamCall unread(images_.get(), LargeStreamRequestFor(8));
  EXPECT_TRUE(unread.Read().has_accepted());
  StreamCall refused(images_.get(), LargeStreamRequestFor(8));
  const grpc::Status status = refused.ReadRest().status;
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(status.error_message(), HasSubstr("this caller has too much"));
  EXPECT_EQ(refused.Trailer("grpc-retry-pushback-ms"),
            absl::StrCat(absl::ToInt64Milliseconds(kRetryPushback)));
  const char* const counted =
      "ddgan_rejected_total{reason=\"reply_bytes_caller\"} 1";
  EXPECT_THAT(MetricsWith(counted), HasSubstr(counted));
  // Images that are read make room, and so does the end.
  EXPECT_EQ(unread.ReadRest().images.size(), 8u);
  const char* const empty = "\nddgan_reply_bytes 0\n";
  EXPECT_THAT(MetricsWith(empty), HasSubstr(empty));
  StreamCall again(images_.get(), LargeStreamRequestFor(8));
  EXPECT_TRUE(again.Read().has_accepted());
  EXPECT_EQ(again.ReadRest().images.size(), 8u);
}

TEST_F(ServerTest, SaysWhichCountCouldFit) {
  server_.reset();
  options_.limits.replies = {.total = 64 << 20, .per_caller = 10 << 20};
  StartServer({3, 512, 512});
  StreamCall call(images_.get(), LargeStreamRequestFor(64));
  const grpc::Status status = call.ReadRest().status;
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(),
              HasSubstr("count: 64 is out of range [1, 10]"));
}

TEST_F(ServerTest, AStreamThatNobodyReadsEndsAndGivesItsBytesBack) {
  server_.reset();
  options_.limits.write_timeout = absl::Milliseconds(200);
  StartServer({3, 512, 512});
  StreamCall call(images_.get(), LargeStreamRequestFor(8));
  const char* const counted =
      "ddgan_requests_total{code=\"DEADLINE_EXCEEDED\","
      "method=\"GenerateStream\",model=\"digits\"} 1";
  const std::string metrics = MetricsWith(counted);
  EXPECT_THAT(metrics, HasSubstr(counted));
  EXPECT_THAT(metrics,
              HasSubstr("ddgan_write_timeouts_total{what=\"call\"} 1"));
  const char* const empty = "\nddgan_reply_bytes 0\n";
  EXPECT_THAT(MetricsWith(empty), HasSubstr(empty));
  EXPECT_TRUE(call.Read().has_accepted());
  EXPECT_FALSE(call.ReadRest().status.ok());
  // The connection is as good as before.
  EXPECT_TRUE(Generate(RequestFor(1)).ok());
}

TEST_F(ServerTest, IsLiveAtItsConnectionCap) {
  server_.reset();
  options_.limits.connections = {.total = 1, .per_peer = 1};
  StartServer();
  EXPECT_TRUE(Generate(RequestFor(1)).ok());
  EXPECT_EQ(Get("/livez")->status, 200);
  const char* const counted = "\nddgan_connections 1\n";
  EXPECT_THAT(MetricsWith(counted), HasSubstr(counted));
}

// Health, reflection ---------------------------------------------------------

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

// HTTP -----------------------------------------------------------------------

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

TEST_F(ServerTest, IsLiveAndReadyWhileItServes) {
  EXPECT_EQ(Get("/livez")->status, 200);
  EXPECT_EQ(Get("/readyz")->status, 200);
  EXPECT_EQ(Get("/readyz")->body, "ok\n");
  EXPECT_EQ(Get("/nothing")->status, 404);
}

// Start and stop -------------------------------------------------------------

TEST_F(ServerTest, DrainFinishesAcceptedWorkAndRefusesMore) {
  engine_->HoldRequests();
  grpc::Status status;
  std::thread caller([this, &status] {
    grpc::ClientContext context;
    v1::GenerateResponse response;
    status = images_->Generate(&context, RequestFor(1), &response);
  });
  const RequestId id = engine_->WaitForHeld(1).front();
  std::thread stopper([this] { server_->Stop(absl::InfiniteDuration()); });
  WaitUntilNobodyCanConnect();

  EXPECT_EQ(Get("/readyz")->status, 503);
  EXPECT_EQ(Get("/readyz")->body, "draining\n");
  EXPECT_EQ(Get("/livez")->status, 200);
  // On a connection of its own: on the old one a call may still come in before
  // the client has heard, and would be served.
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  const auto other = v1::ImageGeneration::NewStub(grpc::CreateCustomChannel(
      absl::StrCat("127.0.0.1:", server_->grpc_port()),
      grpc::InsecureChannelCredentials(), arguments));
  grpc::ClientContext context;
  v1::GenerateResponse response;
  EXPECT_EQ(other->Generate(&context, RequestFor(1), &response).error_code(),
            grpc::StatusCode::UNAVAILABLE);

  engine_->DeliverHeld(id, 0);
  engine_->FinishHeld(id, absl::OkStatus());
  stopper.join();
  caller.join();
  EXPECT_TRUE(status.ok()) << status.error_message();
}

TEST_F(ServerTest, WorkThatOutlastsTheDrainFailsAsUnavailable) {
  engine_->HoldRequests();
  grpc::Status status;
  std::thread caller([this, &status] {
    grpc::ClientContext context;
    v1::GenerateResponse response;
    status = images_->Generate(&context, RequestFor(1), &response);
  });
  engine_->WaitForHeld(1);
  server_->Stop(absl::ZeroDuration());
  caller.join();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(ServerTest, DrainFinishesAStream) {
  engine_->HoldRequests();
  StreamCall call(images_.get(), StreamRequestFor(1, true));
  EXPECT_TRUE(call.Read().has_accepted());
  const RequestId id = engine_->WaitForHeld(1).front();
  std::thread stopper([this] { server_->Stop(absl::InfiniteDuration()); });
  WaitUntilNobodyCanConnect();
  engine_->DeliverPreviewHeld(id, 0, 1);
  EXPECT_EQ(call.Read().preview().step(), 1u);
  engine_->DeliverHeld(id, 0);
  engine_->FinishHeld(id, absl::OkStatus());
  stopper.join();
  const StreamCall::Rest rest = call.ReadRest();
  EXPECT_TRUE(rest.status.ok()) << rest.status.error_message();
  EXPECT_EQ(rest.images.size(), 1u);
  EXPECT_EQ(rest.summaries.size(), 1u);
}

TEST_F(ServerTest, AReaderThatReadsNothingDoesNotHoldUpAStop) {
  server_.reset();
  StartServer({3, 512, 512});
  v1::GenerateStreamRequest request = StreamRequestFor(64, false);
  request.mutable_request()->set_format(v1::OUTPUT_FORMAT_RAW8);
  StreamCall call(images_.get(), request);
  EXPECT_TRUE(call.Read().has_accepted());
  server_->Stop(absl::ZeroDuration());
  EXPECT_FALSE(call.ReadRest().status.ok());
}

// For the time of the delay everything but readiness is as before.
TEST_F(ServerTest, ServesAsBeforeWhileItOnlySaysThatItWillDrain) {
  const std::unique_ptr<Health::Stub> health = Health::NewStub(channel_);
  grpc::ClientContext watch_context;
  const auto watch = health->Watch(&watch_context, {});
  HealthCheckResponse response;
  ASSERT_TRUE(watch->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::SERVING);
  std::thread stopper(
      [this] { server_->Stop(absl::Seconds(30), absl::Seconds(2)); });
  ASSERT_TRUE(watch->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::NOT_SERVING);
  const absl::Time told = absl::Now();
  EXPECT_EQ(Get("/readyz")->status, 503);
  EXPECT_EQ(Get("/readyz")->body, "draining\n");
  EXPECT_EQ(Get("/livez")->status, 200);
  EXPECT_TRUE(Generate(RequestFor(1)).ok());
  const auto newcomer = v1::ImageGeneration::NewStub(
      grpc::CreateChannel(absl::StrCat("127.0.0.1:", server_->grpc_port()),
                          grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  EXPECT_TRUE(newcomer->Generate(&context, RequestFor(1), &response_).ok());
  EXPECT_LT(absl::Now() - told, absl::Seconds(2)) << "too slow to prove it";
  watch_context.TryCancel();
  stopper.join();
}

// An HTTP/2 connection on which the test says when it has heard what.
class RawConnection {
 public:
  explicit RawConnection(int port) : socket_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(socket_, reinterpret_cast<sockaddr*>(&address),
                      sizeof(address)),
              0);
    const timeval limit = {.tv_sec = 30, .tv_usec = 0};
    setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    Send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    SendFrame(kSettings, 0, 0, "");
  }
  ~RawConnection() { close(socket_); }

  static constexpr int kData = 0, kHeaders = 1, kSettings = 4, kPing = 6,
                       kGoaway = 7;
  struct Frame {
    int type = -1;  // -1: the connection is closed.
    int flags = 0;
    uint32_t stream = 0;
    std::string payload;
  };

  // The next frame of `type`; what comes before is dropped.
  Frame ReadUntil(int type) {
    while (true) {
      const std::string header = Read(9);
      Frame frame;
      if (header.size() < 9) return frame;
      auto byte = [&header](int i) {
        return static_cast<uint32_t>(static_cast<uint8_t>(header[i]));
      };
      frame.type = static_cast<int>(byte(3));
      frame.flags = static_cast<int>(byte(4));
      frame.stream = byte(5) << 24 | byte(6) << 16 | byte(7) << 8 | byte(8);
      frame.payload = Read(byte(0) << 16 | byte(1) << 8 | byte(2));
      if (frame.type == type) return frame;
    }
  }

  void SendFrame(int type, int flags, uint32_t stream,
                 const std::string& payload) {
    const size_t size = payload.size();
    const std::string header = {
        static_cast<char>(size >> 16),   static_cast<char>(size >> 8),
        static_cast<char>(size),         static_cast<char>(type),
        static_cast<char>(flags),        static_cast<char>(stream >> 24),
        static_cast<char>(stream >> 16), static_cast<char>(stream >> 8),
        static_cast<char>(stream)};
    Send(header + payload);
  }

  // A whole call of Generate.
  void SendCall(uint32_t stream, const v1::GenerateRequest& request) {
    std::string headers;
    for (const auto& [name, value] :
         {std::pair<std::string, std::string>{":method", "POST"},
          {":scheme", "http"},
          {":path", "/ddgan.v1.ImageGeneration/Generate"},
          {":authority", "test"},
          {"te", "trailers"},
          {"content-type", "application/grpc"}}) {
      // A literal that is not indexed, in HPACK.
      headers += '\0';
      headers += static_cast<char>(name.size());
      headers += name;
      headers += static_cast<char>(value.size());
      headers += value;
    }
    constexpr int kEndStream = 1, kEndHeaders = 4;
    SendFrame(kHeaders, kEndHeaders, stream, headers);
    const std::string message = request.SerializeAsString();
    const std::string prefix = {0, 0, 0, 0, static_cast<char>(message.size())};
    SendFrame(kData, kEndStream, stream, prefix + message);
  }

  // Whether the other end closed the connection, having sent nothing more of
  // importance.
  bool ReadsEnd() { return ReadUntil(-2).type == -1; }

 private:
  void Send(const std::string& bytes) {
    EXPECT_EQ(send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  std::string Read(size_t size) {
    std::string bytes(size, '\0');
    bytes.resize(std::max<ssize_t>(
        0, recv(socket_, bytes.data(), size, size > 0 ? MSG_WAITALL : 0)));
    return bytes;
  }

  const int socket_;
};

uint32_t LastStreamOf(const RawConnection::Frame& goaway) {
  uint32_t last = 0;
  for (int i = 0; i < 4; ++i) {
    last = last << 8 | static_cast<uint8_t>(goaway.payload.at(i));
  }
  return last;
}

// The gap in which grpc::Server::Shutdown alone answers CANCELLED.
TEST_F(ServerTest, ServesACallWhoseSenderHasNotHeardOfTheDrain) {
  RawConnection peer(server_->grpc_port());
  peer.ReadUntil(RawConnection::kSettings);
  std::thread stopper([this] { server_->Stop(absl::Seconds(30)); });
  RawConnection::Frame goaway = peer.ReadUntil(RawConnection::kGoaway);
  ASSERT_EQ(goaway.type, RawConnection::kGoaway);
  EXPECT_EQ(LastStreamOf(goaway), 0x7fffffffu);
  const RawConnection::Frame ping = peer.ReadUntil(RawConnection::kPing);
  ASSERT_EQ(ping.type, RawConnection::kPing);
  // As if both were still on their way to the peer.
  v1::GenerateRequest request = RequestFor(1);
  request.set_format(v1::OUTPUT_FORMAT_RAW8);
  peer.SendCall(1, request);
  const RawConnection::Frame reply = peer.ReadUntil(RawConnection::kData);
  ASSERT_EQ(reply.type, RawConnection::kData);
  v1::GenerateResponse response;
  ASSERT_TRUE(response.ParseFromString(reply.payload.substr(5)));
  EXPECT_EQ(response.images(0).data(),
            AsString(FakePixels(7, 0, kShape, PixelFormat::kUint8)));

  constexpr int kAck = 1;
  peer.SendFrame(RawConnection::kPing, kAck, 0, ping.payload);
  goaway = peer.ReadUntil(RawConnection::kGoaway);
  ASSERT_EQ(goaway.type, RawConnection::kGoaway);
  EXPECT_EQ(LastStreamOf(goaway), 1u);
  EXPECT_TRUE(peer.ReadsEnd());
  stopper.join();
}

// A peer that never answers the ping, and a watch that has no end.
TEST_F(ServerTest, NobodyWhoMerelyStaysConnectedHoldsUpADrain) {
  RawConnection silent(server_->grpc_port());
  silent.ReadUntil(RawConnection::kSettings);
  grpc::ClientContext context;
  const auto watch = Health::NewStub(channel_)->Watch(&context, {});
  HealthCheckResponse response;
  ASSERT_TRUE(watch->Read(&response));
  const absl::Time start = absl::Now();
  server_->Stop(absl::Minutes(5));
  EXPECT_LT(absl::Now() - start, absl::Minutes(1));
}

TEST_F(ServerTest, ClientsWithAnotherServerLoseNoCallToADrain) {
  constexpr int kRounds = 5;
  constexpr int kCallers = 4;
  for (int round = 0; round < kRounds; ++round) {
    absl::StatusOr<std::unique_ptr<Server>> other = Server::Start(
        options_, [](const EngineOptions&, EngineObserver*, Clock*) {
          return std::make_unique<FakeEngine>();
        });
    ASSERT_TRUE(other.ok()) << other.status();
    absl::Mutex mu;
    bool stopped = false;
    int calls = 0;
    std::vector<std::thread> callers;
    for (int i = 0; i < kCallers; ++i) {
      callers.emplace_back([&, this] {
        grpc::ChannelArguments arguments;
        arguments.SetLoadBalancingPolicyName("round_robin");
        arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
        const auto stub =
            v1::ImageGeneration::NewStub(grpc::CreateCustomChannel(
                absl::StrCat("ipv4:127.0.0.1:", server_->grpc_port(),
                             ",127.0.0.1:", (*other)->grpc_port()),
                grpc::InsecureChannelCredentials(), arguments));
        for (int after = 0; after < 10;) {
          grpc::ClientContext context;
          v1::GenerateResponse response;
          const grpc::Status status =
              stub->Generate(&context, RequestFor(1), &response);
          EXPECT_TRUE(status.ok())
              << status.error_code() << ' ' << status.error_message();
          absl::MutexLock lock(&mu);
          ++calls;
          if (stopped) ++after;
        }
      });
    }
    {
      absl::MutexLock lock(&mu);
      auto busy = [&calls] { return calls > 100; };
      mu.Await(absl::Condition(&busy));
    }
    (*other)->Stop(absl::Seconds(30));
    {
      absl::MutexLock lock(&mu);
      stopped = true;
    }
    for (std::thread& caller : callers) caller.join();
  }
}

// Admin port -----------------------------------------------------------------

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

// Traces, access log ---------------------------------------------------------

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
  EXPECT_EQ(by_method.size(), 4u);
  EXPECT_EQ(by_method["GenerateStream"]["code"], "OK");
  EXPECT_GT(by_method["GenerateStream"]["reply_bytes"], 100);
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

// What a gRPC client may try again is a refusal without initial metadata.
TEST_F(AccessLogServerTest, ARefusalStaysOneThatMayBeTriedAgain) {
  engine_->RefuseRequests(absl::UnavailableError("no device"));
  grpc::ClientContext context;
  EXPECT_EQ(images_->Generate(&context, RequestFor(1), &response_).error_code(),
            grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(Trailer(context, "traceparent").size(), 55u);
  EXPECT_TRUE(context.GetServerInitialMetadata().empty());
}

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
