// Images that are kept, seen by gRPC clients of the whole server.
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "inference/v2.grpc.pb.h"
#include "tests/server/kserve/infer_requests.h"
#include "tests/server/server_fixture.h"

namespace ddgan {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

class ImageCacheServerTest : public ServerTest {
 protected:
  void SetUp() override {
    options_.image_cache_bytes = 1 << 20;
    StartServer();
  }

  static std::string Images(const char* result, int count) {
    return absl::StrCat("ddgan_image_cache_images_total{result=\"", result,
                        "\"} ", count, "\n");
  }
};

TEST_F(ImageCacheServerTest, EqualCallsAtOnceOfAnyKindAreMadeOnce) {
  constexpr int kCalls = 25;
  engine_->HoldRequests();
  std::vector<std::thread> callers;
  std::vector<v1::GenerateResponse> generated(kCalls);
  std::vector<inference::ModelInferResponse> inferred(kCalls);
  const auto infer = inference::GRPCInferenceService::NewStub(channel_);
  for (int i = 0; i < kCalls; ++i) {
    callers.emplace_back([this, response = &generated[i]] {
      grpc::ClientContext context;
      EXPECT_TRUE(images_->Generate(&context, RequestFor(1), response).ok());
    });
    callers.emplace_back([&infer, response = &inferred[i]] {
      grpc::ClientContext context;
      EXPECT_TRUE(
          infer->ModelInfer(&context, InferRequestFor({7}, {"png"}), response)
              .ok());
    });
  }
  MetricsWith(Images("coalesced", 2 * kCalls - 1));
  const std::vector<RequestId> ids = engine_->WaitForHeld(1);
  ASSERT_THAT(ids, SizeIs(1));
  engine_->DeliverHeld(ids[0], 0);
  engine_->FinishHeld(ids[0], absl::OkStatus());
  for (std::thread& caller : callers) caller.join();
  for (int i = 0; i < kCalls; ++i) {
    EXPECT_EQ(generated[i].version(), 3);
    EXPECT_EQ(generated[i].num_timesteps(), FakeEngine::kNumTimesteps);
    ASSERT_EQ(generated[i].images_size(), 1);
    EXPECT_EQ(generated[i].images(0).data(), ImagePng(0));
    EXPECT_EQ(inferred[i].model_version(), "3");
    // Behind the four bytes of its size.
    EXPECT_EQ(inferred[i].raw_output_contents(0).substr(4), ImagePng(0));
  }
  EXPECT_TRUE(Generate(RequestFor(1)).ok());
  EXPECT_EQ(response_.images(0).data(), ImagePng(0));
  EXPECT_THAT(MetricsWith(Images("hit", 1)), HasSubstr(Images("miss", 1)));
}

TEST_F(ImageCacheServerTest, AVersionThatGoesLiveHasItsOwnImages) {
  ASSERT_TRUE(Generate(RequestFor(1)).ok());
  engine_->GoLive(4, {3, 16, 16});
  v1::GenerateRequest request = RequestFor(1);
  request.set_format(v1::OUTPUT_FORMAT_RAW8);
  ASSERT_TRUE(Generate(request).ok());
  EXPECT_EQ(response_.version(), 4);
  EXPECT_THAT(response_.images(0).data(), SizeIs(3 * 16 * 16));
  engine_->GoLive(3, kShape);
  ASSERT_TRUE(Generate(RequestFor(1)).ok());
  EXPECT_EQ(response_.version(), 3);
  EXPECT_EQ(response_.images(0).data(), ImagePng(0));
  EXPECT_THAT(MetricsWith(Images("hit", 1)), HasSubstr(Images("miss", 2)));
}

TEST_F(ImageCacheServerTest, AStreamGetsItsPreviewsAndItsImagesEitherWay) {
  ASSERT_TRUE(Generate(RequestFor(2)).ok());
  StreamCall plain(images_.get(), StreamRequestFor(2, /*previews=*/false));
  EXPECT_TRUE(plain.Read().has_accepted());
  StreamCall::Rest rest = plain.ReadRest();
  ASSERT_TRUE(rest.status.ok()) << rest.status.error_message();
  EXPECT_EQ(rest.images[0], ImagePng(0));
  EXPECT_EQ(rest.images[1], ImagePng(1));
  EXPECT_THAT(rest.summaries, SizeIs(1));
  MetricsWith(Images("hit", 2));

  // Held, as an image that is ready takes the place of its previews.
  engine_->HoldRequests();
  StreamCall previewed(images_.get(), StreamRequestFor(2, /*previews=*/true));
  EXPECT_TRUE(previewed.Read().has_accepted());
  const RequestId id = engine_->WaitForHeld(1).front();
  engine_->DeliverPreviewHeld(id, 0, 1);
  EXPECT_EQ(previewed.Read().preview().step(), 1);
  for (size_t position : {0, 1}) engine_->DeliverHeld(id, position);
  engine_->FinishHeld(id, absl::OkStatus());
  rest = previewed.ReadRest();
  ASSERT_TRUE(rest.status.ok()) << rest.status.error_message();
  EXPECT_EQ(rest.images[1], ImagePng(1));
  EXPECT_THAT(MetricsWith(Images("hit", 2)), HasSubstr(Images("miss", 2)));
}

// What the picture of a guide is, decides as well.
TEST_F(ImageCacheServerTest, AGuidesImagesAreItsOwn) {
  v1::GenerateRequest plain = RequestFor(1);
  v1::GenerateRequest guided = RequestFor(1);
  *guided.mutable_guide() = Strokes();
  ASSERT_TRUE(Generate(plain).ok());
  ASSERT_TRUE(Generate(guided).ok());
  MetricsWith(Images("miss", 2));
  ASSERT_TRUE(Generate(guided).ok());
  MetricsWith(Images("hit", 1));
  std::vector<uint8_t> other = {1, 200};
  guided.mutable_guide()->set_png(*EncodePng(other, {1, 1, 2}));
  ASSERT_TRUE(Generate(guided).ok());
  EXPECT_THAT(MetricsWith(Images("miss", 3)), HasSubstr(Images("hit", 1)));
}

TEST_F(ImageCacheServerTest, WithoutRoomForImagesEachIsMade) {
  server_.reset();
  options_.image_cache_bytes = 0;
  StartServer();
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(Generate(RequestFor(1)).ok());
  EXPECT_THAT(
      MetricsWith("ddgan_requests_total{code=\"OK\",method=\"Generate\","
                  "model=\"digits\"} 2"),
      HasSubstr(Images("miss", 0)));
}

}  // namespace
}  // namespace ddgan
