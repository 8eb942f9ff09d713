// The whole server on ports of the system's choice, with an engine that draws
// without a model, for tests that see it from outside: gRPC stubs and HTTP.
#ifndef DDGAN_TESTS_SERVER_SERVER_FIXTURE_H_
#define DDGAN_TESTS_SERVER_SERVER_FIXTURE_H_

#include <grpcpp/grpcpp.h>
#include <httplib.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "ddgan/v1/image_generation.grpc.pb.h"
#include "engine/imaging/png_encoder.h"
#include "gtest/gtest.h"
#include "server/calls/png_provenance.h"
#include "server/server.h"
#include "tests/fakes/fake_engine.h"

namespace ddgan {

class ServerTest : public ::testing::Test {
 protected:
  void SetUp() override { StartServer(); }

  // Starts a server with options_ whose engine makes images of `shape`.
  void StartServer(ImageShape shape = {1, 8, 8});

  // The answer is response_, the call's metadata context_.
  grpc::Status Generate(const v1::GenerateRequest& request);

  httplib::Result Get(const char* path);

  // /metrics, once it contains `wanted`: a call ends for its caller slightly
  // before it is counted.
  std::string MetricsWith(const std::string& wanted);

  // Blocks until a drain has closed the port that serves images.
  void WaitUntilNobodyCanConnect();

  ServerOptions options_ = [] {
    ServerOptions options;
    options.access_log = AccessLogLevel::kNone;
    options.engine.max_queued_images = 64;
    return options;
  }();
  FakeEngine* engine_ = nullptr;  // The server's.
  std::unique_ptr<Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::ImageGeneration::Stub> images_;
  std::unique_ptr<grpc::ClientContext> context_;
  v1::GenerateResponse response_;
};

// A GenerateStream call whose events the test reads when it wants to.
class StreamCall {
 public:
  StreamCall(v1::ImageGeneration::Stub* stub,
             const v1::GenerateStreamRequest& request,
             absl::Duration timeout = absl::InfiniteDuration(),
             const std::string& client_id = "");

  // The next event; one without content at the end of the stream.
  v1::GenerateStreamResponse Read();

  // Reads what is left, by kind.
  struct Rest {
    std::vector<v1::StreamPreview> previews;
    std::map<uint32_t, std::string> images;
    std::vector<v1::StreamSummary> summaries;
    grpc::Status status;
  };
  Rest ReadRest();

  void Cancel() { context_.TryCancel(); }

  std::string Trailer(const char* key) const;

 private:
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<v1::GenerateStreamResponse>> reader_;
};

inline constexpr ImageShape kShape = {1, 8, 8};

// Requests with seed 7, for PNGs.
v1::GenerateRequest RequestFor(uint32_t count);
v1::GenerateStreamRequest StreamRequestFor(uint32_t count, bool previews);

// A guide whose picture has 2x1 pixels, which no model has.
v1::Guide Strokes();

std::string AsString(const std::vector<uint8_t>& bytes);

// The PNG that `text` and `pixels` of kShape make.
std::string Png(const std::vector<uint8_t>& pixels, std::vector<PngText> text);

// What the server says of the images of RequestFor, made in `steps`.
PngProvenance Provenance(int steps = FakeEngine::kNumTimesteps);

// The image of RequestFor with that index, of kShape.
std::string ImagePng(uint32_t index);

}  // namespace ddgan

#endif  // DDGAN_TESTS_SERVER_SERVER_FIXTURE_H_
