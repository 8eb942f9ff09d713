// GenerateStream, seen by a gRPC client of the whole server.
#include <arpa/inet.h>
#include <fcntl.h>
#include <grpcpp/create_channel_posix.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/calls/grpc_status.h"
#include "tests/server/promtool.h"
#include "tests/server/server_fixture.h"

namespace ddgan {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

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
                    ? Png(pixels, Provenance().OfPreview({7, 1}, step))
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

TEST_F(ServerTest, AStreamThatIsNotReadHoldsNoEncoderRoom) {
  server_.reset();
  StartServer({3, 512, 512});
  v1::GenerateStreamRequest request = StreamRequestFor(64, false);
  request.mutable_request()->set_format(v1::OUTPUT_FORMAT_RAW8);
  // Together the room of 2 * max_queued_images.
  StreamCall first(images_.get(), request);
  StreamCall second(images_.get(), request);
  EXPECT_TRUE(first.Read().has_accepted());
  EXPECT_TRUE(second.Read().has_accepted());
  // Their images are being encoded.
  const absl::Time give_up = absl::Now() + absl::Seconds(30);
  grpc::Status status = Generate(RequestFor(1));
  while (!status.ok() && absl::Now() < give_up) {
    status = Generate(RequestFor(1));
  }
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(first.ReadRest().images.size(), 64u);
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
  // Connects, so that the call below reaches the engine within its deadline.
  ASSERT_TRUE(Generate(RequestFor(1)).ok());
  engine_->HoldRequests();
  StreamCall call(images_.get(), StreamRequestFor(1, false), absl::Seconds(2));
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
  // Room also for the guides of those that have left and are not yet forgotten.
  server_.reset();
  options_.engine.max_queued_images = 4096;
  StartServer();
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

}  // namespace
}  // namespace ddgan
