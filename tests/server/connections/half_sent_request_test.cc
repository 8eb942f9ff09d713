// Requests that begin and do not come in whole, seen by callers that send every
// frame themselves.
#include <cstdint>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/raw_connection.h"
#include "tests/server/server_fixture.h"

namespace ddgan {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;

constexpr char kGenerate[] = "/ddgan.v1.ImageGeneration/Generate";

// A message that announces 1 MiB and has begun.
const std::string& HalfMessage() {
  static const std::string& message =
      *new std::string(std::string("\0\0\x10\0\0", 5) + std::string(1000, 'x'));
  return message;
}

class HalfSentRequestTest : public ServerTest {
 protected:
  void SetUp() override {}
  void Start(RequestGate::Limits limits) {
    options_.limits.requests = limits;
    StartServer();
  }
};

TEST_F(HalfSentRequestTest, EndsInTimeWhateverMethodItIsFor) {
  Start({.arriving = 64, .timeout = absl::Milliseconds(300)});
  for (const char* path :
       {kGenerate, "/ddgan.v1.ImageGeneration/GenerateStream",
        "/ddgan.v1.ModelService/ListModels",
        "/ddgan.v1.ModelService/WatchModels", "/grpc.health.v1.Health/Check",
        "/grpc.health.v1.Health/Watch"}) {
    RawConnection caller(server_->grpc_port());
    caller.BeginCall(1, path);
    caller.SendFrame(RawConnection::kData, 0, 1, HalfMessage());
    EXPECT_THAT(caller.ReadUntil(RawConnection::kHeaders).payload,
                HasSubstr("did not come in whole within 300ms"))
        << path;
  }
  const char* const counted =
      "ddgan_requests_not_received_total{reason=\"timeout\"} 6";
  EXPECT_THAT(MetricsWith(counted), HasSubstr(counted));
}

// gRPC opens a stream's window for a whole message once it receives it.
TEST_F(HalfSentRequestTest, IsNotReceivedBeforeItsTurn) {
  Start({.arriving = 1, .timeout = absl::Minutes(10)});
  RawConnection caller(server_->grpc_port());
  for (const uint32_t stream : {1u, 3u}) {
    caller.BeginCall(stream, kGenerate);
    caller.SendFrame(RawConnection::kData, 0, stream, HalfMessage());
  }
  // Of the stream whose window grows first.
  const auto await_window = [&caller] {
    RawConnection::Frame frame;
    do {
      frame = caller.ReadUntil(RawConnection::kWindowUpdate);
    } while (frame.type >= 0 && frame.stream == 0);
    return frame.stream;
  };
  // Threads of gRPC bring the two to the gate, in either order.
  const uint32_t first = await_window();
  ASSERT_THAT(first, AnyOf(1u, 3u));
  const uint32_t second = 4 - first;
  caller.SendFrame(RawConnection::kPing, 0, 0, std::string(8, 'p'));
  for (RawConnection::Frame frame; frame.type != RawConnection::kPing;) {
    frame = caller.ReadFrame();
    ASSERT_GE(frame.type, 0);
    EXPECT_FALSE(frame.type == RawConnection::kWindowUpdate &&
                 frame.stream == second);
  }
  caller.SendFrame(RawConnection::kRstStream, 0, first,
                   std::string("\0\0\0\x8", 4));
  EXPECT_EQ(await_window(), second);
}

TEST_F(HalfSentRequestTest, OthersAreServedMeanwhile) {
  Start({.arriving = 4, .timeout = absl::Minutes(10)});
  RawConnection attacker(server_->grpc_port(), 0, "127.0.0.2");
  for (uint32_t stream = 1; stream < 200; stream += 2) {
    attacker.BeginCall(stream, kGenerate);
    attacker.SendFrame(RawConnection::kData, 0, stream, HalfMessage());
  }
  // Those that find no room are told so.
  EXPECT_THAT(attacker.ReadUntil(RawConnection::kHeaders).payload,
              HasSubstr("too many requests have begun"));
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(Generate(RequestFor(1)).ok());
}

TEST_F(HalfSentRequestTest, HoldsUpNoStop) {
  Start({.arriving = 1, .timeout = absl::Minutes(10)});
  RawConnection caller(server_->grpc_port());
  for (const uint32_t stream : {1u, 3u, 5u}) {
    caller.BeginCall(stream, kGenerate);
    caller.SendFrame(RawConnection::kData, 0, stream, HalfMessage());
  }
  caller.ReadUntil(RawConnection::kWindowUpdate);
  // Or the watchdog ends this process.
  server_->Stop(absl::ZeroDuration());
}

TEST_F(HalfSentRequestTest, WhatCannotBeReadIsSaidSo) {
  Start({});
  RawConnection caller(server_->grpc_port());
  caller.BeginCall(1, kGenerate);
  caller.SendFrame(RawConnection::kData, RawConnection::kEndStream, 1,
                   std::string("\0\0\0\0\3", 5) + "\x1a\x7f!");
  EXPECT_THAT(caller.ReadUntil(RawConnection::kHeaders).payload,
              HasSubstr("not one of this method"));
  // Nor is no message at all.
  RawConnection silent(server_->grpc_port());
  silent.BeginCall(1, kGenerate);
  silent.SendFrame(RawConnection::kData, RawConnection::kEndStream, 1, "");
  EXPECT_THAT(silent.ReadUntil(RawConnection::kHeaders).payload,
              HasSubstr("not one of this method"));
  EXPECT_TRUE(Generate(RequestFor(1)).ok());
}

}  // namespace
}  // namespace ddgan
