// What the server does at its limits, seen by a gRPC client.
#include <google/protobuf/message.h>
#include <google/protobuf/unknown_field_set.h>

#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "ddgan/v1/model.grpc.pb.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "inference/v2.grpc.pb.h"
#include "server/calls/grpc_status.h"
#include "tests/server/raw_connection.h"
#include "tests/server/server_fixture.h"

namespace ddgan {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

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
  options_.limits.write_timeout = absl::Seconds(1);
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

// A message of 1 MB unpacks to 1 GB, and gRPC looks at the size afterwards.
TEST_F(ServerTest, RefusesACompressedRequestBeforeItIsUnpacked) {
  for (const char* algorithm : {"gzip", "deflate"}) {
    RawConnection caller(server_->grpc_port());
    caller.BeginCall(1, "/ddgan.v1.ImageGeneration/Generate",
                     {{"grpc-encoding", algorithm}});
    // A compressed message that is no gzip: it is not looked at.
    caller.SendFrame(RawConnection::kData, RawConnection::kEndStream, 1,
                     std::string("\1\0\0\0\4", 5) + "junk");
    EXPECT_THAT(caller.ReadUntil(RawConnection::kHeaders).payload,
                AllOf(HasSubstr("grpc-status"), HasSubstr("12")))
        << algorithm;
  }
  // Whoever looks first is told.
  RawConnection caller(server_->grpc_port());
  caller.SendCall(1, RequestFor(1));
  EXPECT_THAT(caller.ReadUntil(RawConnection::kHeaders).payload,
              AllOf(HasSubstr("grpc-accept-encoding"), HasSubstr("identity"),
                    Not(HasSubstr("gzip"))));
  grpc::ClientContext context;
  context.set_compression_algorithm(GRPC_COMPRESS_GZIP);
  v1::GenerateRequest request = RequestFor(1);
  request.set_model(std::string(5000, 'a'));
  v1::GenerateResponse response;
  EXPECT_EQ(images_->Generate(&context, request, &response).error_code(),
            grpc::StatusCode::UNIMPLEMENTED);
}

// No method could parse these bytes: their number is looked at first.
TEST_F(ServerTest, RefusesALargeRequestOfHealthBeforeItIsParsed) {
  for (const char* path :
       {"/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"}) {
    RawConnection caller(server_->grpc_port());
    caller.BeginCall(1, path);
    caller.SendFrame(RawConnection::kData, RawConnection::kEndStream, 1,
                     std::string("\0\0\0\4\1", 5) + std::string(1025, '\xff'));
    EXPECT_THAT(caller.ReadUntil(RawConnection::kHeaders).payload,
                HasSubstr("the request has 1025 bytes, of at most 1024"))
        << path;
  }
}

TEST_F(ServerTest, RefusesALargeRequestThatMakesNoImages) {
  const std::string name(64 << 10, 'm');
  const auto expect_refused = [](const grpc::Status& status) {
    EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
    EXPECT_THAT(status.error_message(),
                HasSubstr("the request has 65540 bytes, of at most 1024"));
  };
  const auto models = v1::ModelService::NewStub(channel_);
  {
    grpc::ClientContext context;
    v1::GetModelRequest request;
    request.set_model(name);
    v1::GetModelResponse response;
    expect_refused(models->GetModel(&context, request, &response));
  }
  {
    grpc::ClientContext context;
    inference::ModelReadyRequest request;
    request.set_name(name);
    inference::ModelReadyResponse response;
    expect_refused(
        inference::GRPCInferenceService::NewStub(channel_)->ModelReady(
            &context, request, &response));
  }
  // A field that it does not have.
  v1::WatchModelsRequest request;
  request.GetReflection()->MutableUnknownFields(&request)->AddLengthDelimited(
      1, name);
  grpc::ClientContext context;
  const auto watch = models->WatchModels(&context, request);
  v1::WatchModelsResponse event;
  ASSERT_FALSE(watch->Read(&event));
  expect_refused(watch->Finish());
}

// As clients send them whose language has no word for "none".
TEST_F(ServerTest, ServesCallsWithTheLongestDeadlines) {
  uint32_t stream = 1;
  RawConnection caller(server_->grpc_port());
  for (const char* timeout :
       {"2000000H", "2070000H", "2562047H", "5124094H", "9223372S", "99999999M",
        "99999999H", "99999999S", "99999999m"}) {
    caller.SendCall(stream, RequestFor(1), {{"grpc-timeout", timeout}});
    // A refusal has no message.
    bool has_message = false;
    RawConnection::Frame frame;
    do {
      frame = caller.ReadFrame();
      has_message |= frame.type == RawConnection::kData;
    } while (frame.type >= 0 &&
             !(frame.type == RawConnection::kHeaders &&
               (frame.flags & RawConnection::kEndStream) != 0));
    EXPECT_TRUE(has_message) << timeout;
    stream += 2;
  }
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

}  // namespace
}  // namespace ddgan
