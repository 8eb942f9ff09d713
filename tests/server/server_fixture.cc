#include "tests/server/server_fixture.h"

#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/connections/listener_probe.h"

namespace ddgan {

void ServerTest::StartServer(ImageShape shape) {
  options_.listen = {"127.0.0.1", 0};
  options_.http = {"127.0.0.1", 0};
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

grpc::Status ServerTest::Generate(const v1::GenerateRequest& request) {
  context_ = std::make_unique<grpc::ClientContext>();
  response_.Clear();
  return images_->Generate(context_.get(), request, &response_);
}

httplib::Result ServerTest::Get(const char* path) {
  httplib::Client client("127.0.0.1", server_->http_port());
  client.set_read_timeout(60);  // Its default of 5 s ends on a busy machine.
  return client.Get(path);
}

std::string ServerTest::MetricsWith(const std::string& wanted) {
  std::string text;
  const absl::Time give_up = absl::Now() + absl::Seconds(30);
  do {
    text = Get("/metrics")->body;
  } while (text.find(wanted) == std::string::npos && absl::Now() < give_up);
  return text;
}

void ServerTest::WaitUntilNobodyCanConnect() {
  const ListenAddress address = {"127.0.0.1", server_->grpc_port()};
  const absl::Time give_up = absl::Now() + absl::Seconds(30);
  while (!absl::IsUnavailable(
             ProbeGrpcListener(address, absl::Seconds(2), [](int) {})) &&
         absl::Now() < give_up) {
    std::this_thread::yield();
  }
}

StreamCall::StreamCall(v1::ImageGeneration::Stub* stub,
                       const v1::GenerateStreamRequest& request,
                       absl::Duration timeout, const std::string& client_id) {
  if (!client_id.empty()) {
    context_.AddMetadata("ddgan-client-id", client_id);
  }
  if (timeout != absl::InfiniteDuration()) {
    context_.set_deadline(absl::ToChronoTime(absl::Now() + timeout));
  }
  reader_ = stub->GenerateStream(&context_, request);
}

v1::GenerateStreamResponse StreamCall::Read() {
  v1::GenerateStreamResponse event;
  if (!reader_->Read(&event)) event.Clear();
  return event;
}

StreamCall::Rest StreamCall::ReadRest() {
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

std::string StreamCall::Trailer(const char* key) const {
  const auto& trailers = context_.GetServerTrailingMetadata();
  const auto found = trailers.find(key);
  if (found == trailers.end()) return "";
  return std::string(found->second.data(), found->second.size());
}

v1::GenerateRequest RequestFor(uint32_t count) {
  v1::GenerateRequest request;
  request.set_count(count);
  request.set_seed(7);
  return request;
}

v1::GenerateStreamRequest StreamRequestFor(uint32_t count, bool previews) {
  v1::GenerateStreamRequest request;
  *request.mutable_request() = RequestFor(count);
  request.set_previews(previews);
  return request;
}

v1::Guide Strokes() {
  const std::vector<uint8_t> pixels = {9, 8, 7, 200, 100, 0};
  v1::Guide guide;
  guide.set_png(*EncodePng(pixels, {3, 1, 2}));
  guide.set_steps(2);
  guide.set_fit(v1::GUIDE_FIT_RESIZE);
  return guide;
}

std::string AsString(const std::vector<uint8_t>& bytes) {
  return std::string(bytes.begin(), bytes.end());
}

std::string Png(const std::vector<uint8_t>& pixels, std::vector<PngText> text) {
  PngOptions options;
  options.text = std::move(text);
  return *EncodePng(pixels, kShape, options);
}

PngProvenance Provenance(int steps) {
  return PngProvenance({"digits", 3, std::string(64, 'd')}, steps);
}

std::string ImagePng(uint32_t index) {
  return Png(FakePixels(7, index, kShape, PixelFormat::kUint8),
             Provenance().OfImage({7, index}));
}

}  // namespace ddgan
