// Generate, seen by a gRPC client of the whole server.
#include <chrono>
#include <cstdint>
#include <limits>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/imaging/png_encoder.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/calls/grpc_status.h"
#include "tests/server/server_fixture.h"

namespace ddgan {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

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
  // Connects, so that the call below reaches the engine within its deadline.
  ASSERT_TRUE(Generate(RequestFor(1)).ok());
  engine_->HoldRequests();
  grpc::ClientContext context;
  const auto deadline =
      std::chrono::system_clock::now() + std::chrono::seconds(2);
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

}  // namespace
}  // namespace ddgan
