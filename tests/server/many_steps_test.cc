// The server with its real engine and a denoiser of a thousand steps: small,
// but every step is taken.
#include <grpcpp/grpcpp.h>
#include <httplib.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "ddgan/v1/image_generation.grpc.pb.h"
#include "ddgan/v1/model.grpc.pb.h"
#include "engine/imaging/png_encoder.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/server.h"
#include "tests/fakes/temporary_folder.h"
#include "tests/fakes/tiny_checkpoint.h"
#include "trainer/run/checkpoint_publisher.h"

namespace ddgan {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class ManyStepsTest : public ::testing::Test {
 protected:
  // A version whose images take so many evaluations, and a server for it.
  void StartServer(const std::string& sampler) {
    CheckpointConfig config = TinyCheckpointConfig("steps");
    config.model_config.num_timesteps = 1000;
    config.model_config.objective = "denoising";
    config.model_config.sampler = sampler;
    const absl::StatusOr<ModelIdentity> published = PublishCheckpoint(
        folder_.path(), 1, config, TinyRandomWeights(config.model_config));
    ASSERT_TRUE(published.ok()) << published.status();
    ServerOptions options;
    options.access_log = AccessLogLevel::kNone;
    options.listen.port = 0;
    options.http.port = 0;
    options.engine.model_root = folder_.path();
    options.engine.cpu_threads = 1;
    options.engine.max_batch_sizes = {4};
    absl::StatusOr<std::unique_ptr<Server>> server = Server::Start(
        options,
        [](const EngineOptions& engine, EngineObserver* observer,
           Clock* clock) { return CreateEngine(engine, observer, clock); });
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    channel_ =
        grpc::CreateChannel(absl::StrCat("127.0.0.1:", server_->grpc_port()),
                            grpc::InsecureChannelCredentials());
    images_ = v1::ImageGeneration::NewStub(channel_);
  }

  static v1::GenerateRequest Request(uint32_t first_index, uint32_t count) {
    v1::GenerateRequest request;
    request.set_seed(7);
    request.set_first_index(first_index);
    request.set_count(count);
    request.set_format(v1::OUTPUT_FORMAT_FLOAT32);
    return request;
  }

  v1::GenerateResponse Generate(const v1::GenerateRequest& request) {
    grpc::ClientContext context;
    v1::GenerateResponse response;
    const grpc::Status status = images_->Generate(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }

  std::string Metrics() const {
    httplib::Client http("127.0.0.1", server_->http_port());
    const httplib::Result page = http.Get("/metrics");
    return page ? page->body : "";
  }

  const TemporaryFolder folder_;
  std::unique_ptr<Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::ImageGeneration::Stub> images_;
};

// The second call joins while the first one's images are under way, so batches
// hold rows at different steps.
TEST_F(ManyStepsTest, ImagesTakeAThousandStepsInWhateverCompany) {
  StartServer("ancestral");
  grpc::ClientContext context;
  v1::GenerateStreamRequest stream_request;
  *stream_request.mutable_request() = Request(0, 2);
  stream_request.set_previews(true);
  const auto stream = images_->GenerateStream(&context, stream_request);
  v1::GenerateStreamResponse event;
  std::map<uint32_t, std::string> mixed;
  v1::GenerateResponse second;
  std::thread other;
  while (stream->Read(&event)) {
    if (event.has_accepted()) {
      EXPECT_EQ(event.accepted().num_timesteps(), 1000u);
      EXPECT_EQ(event.accepted().evaluations(), 1000u);
    } else if (event.has_preview()) {
      EXPECT_LT(event.preview().step(), 1000u);
      // Once the first call's images have begun.
      if (!other.joinable())
        other = std::thread([&] { second = Generate(Request(2, 2)); });
    } else if (event.has_image()) {
      mixed[event.image().index()] = event.image().data();
    }
  }
  EXPECT_TRUE(stream->Finish().ok());
  ASSERT_TRUE(other.joinable());
  other.join();
  EXPECT_EQ(second.evaluations(), 1000u);
  for (const v1::GeneratedImage& image : second.images())
    mixed[image.index()] = image.data();
  ASSERT_EQ(mixed.size(), 4u);
  for (const auto& [index, data] : mixed) {
    EXPECT_TRUE(Generate(Request(index, 1)).images(0).data() == data) << index;
  }
  EXPECT_NE(mixed[0], mixed[1]);

  const std::string metrics = Metrics();
  EXPECT_THAT(metrics, HasSubstr("step=\"mixed\""));
  EXPECT_THAT(metrics, HasSubstr("step=\"512-1023\""));
  EXPECT_THAT(metrics, Not(HasSubstr("step=\"16\"")));
}

TEST_F(ManyStepsTest, ASamplerOfFewStepsIsShownAsThem) {
  StartServer("ddim:20");
  const v1::GenerateResponse response = Generate(Request(0, 1));
  EXPECT_EQ(response.num_timesteps(), 1000u);
  EXPECT_EQ(response.evaluations(), 20u);

  grpc::ClientContext context;
  v1::ListModelsResponse models;
  const grpc::Status listed = v1::ModelService::NewStub(channel_)->ListModels(
      &context, v1::ListModelsRequest(), &models);
  ASSERT_TRUE(listed.ok()) << listed.error_message();
  ASSERT_EQ(models.models_size(), 1);
  EXPECT_EQ(models.models(0).versions(0).num_timesteps(), 1000u);
  EXPECT_EQ(models.models(0).versions(0).evaluations(), 20u);
}

// A guide's steps are the last of the sampler's.
TEST_F(ManyStepsTest, AGuideTakesAsManyStepsAsTheSamplerHas) {
  StartServer("ddim:20");
  v1::GenerateRequest request = Request(0, 1);
  request.mutable_guide()->set_png(
      EncodePng(std::vector<uint8_t>(8 * 8, 200), {1, 8, 8}).value());
  request.mutable_guide()->set_steps(20);
  EXPECT_EQ(Generate(request).images_size(), 1);
  request.mutable_guide()->set_steps(21);
  grpc::ClientContext context;
  v1::GenerateResponse response;
  const grpc::Status status = images_->Generate(&context, request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(),
              HasSubstr("guide.steps is 21; allowed are 1 to 20"));
}

}  // namespace
}  // namespace ddgan
