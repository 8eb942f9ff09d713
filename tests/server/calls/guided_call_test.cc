// Calls with a guide, seen by a gRPC client of the whole server.
#include <memory>
#include <optional>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/calls/grpc_status.h"
#include "tests/fakes/fake_engine.h"
#include "tests/server/server_fixture.h"

namespace ddgan {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

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
  EXPECT_EQ(guide->picture, picture->shape);
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
                Provenance(/*steps=*/2).OfImage({7, 0})));
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
                Provenance(/*steps=*/2).OfPreview({7, 0}, 1)));
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

}  // namespace
}  // namespace ddgan
