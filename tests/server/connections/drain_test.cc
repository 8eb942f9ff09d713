// How the server ends its calls and connections when it stops.
#include <memory>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "gtest/gtest.h"
#include "inference/v2.grpc.pb.h"
#include "tests/fakes/fake_engine.h"
#include "tests/server/raw_connection.h"
#include "tests/server/server_fixture.h"

namespace ddgan {
namespace {

using grpc::health::v1::Health;
using grpc::health::v1::HealthCheckResponse;

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

// For the time of the delay everything but readiness is as before. A machine
// that needs longer for the calls gets a longer delay.
TEST_F(ServerTest, ServesAsBeforeWhileItOnlySaysThatItWillDrain) {
  for (absl::Duration delay = absl::Seconds(2);; delay *= 5) {
    const std::unique_ptr<Health::Stub> health = Health::NewStub(channel_);
    grpc::ClientContext watch_context;
    const auto watch = health->Watch(&watch_context, {});
    HealthCheckResponse response;
    ASSERT_TRUE(watch->Read(&response));
    EXPECT_EQ(response.status(), HealthCheckResponse::SERVING);
    const absl::Time begin = absl::Now();
    std::thread stopper(
        [this, delay] { server_->Stop(absl::Seconds(30), delay); });
    EXPECT_TRUE(watch->Read(&response));
    EXPECT_EQ(response.status(), HealthCheckResponse::NOT_SERVING);
    const httplib::Result ready = Get("/readyz");
    const httplib::Result live = Get("/livez");
    grpc::ClientContext ready_context;
    inference::ServerReadyResponse kserve_ready;
    const grpc::Status kserve_status =
        inference::GRPCInferenceService::NewStub(channel_)->ServerReady(
            &ready_context, {}, &kserve_ready);
    const grpc::Status old_status = Generate(RequestFor(1));
    const auto newcomer = v1::ImageGeneration::NewStub(
        grpc::CreateChannel(absl::StrCat("127.0.0.1:", server_->grpc_port()),
                            grpc::InsecureChannelCredentials()));
    grpc::ClientContext context;
    const grpc::Status new_status =
        newcomer->Generate(&context, RequestFor(1), &response_);
    const bool in_time = absl::Now() - begin < delay;
    watch_context.TryCancel();
    stopper.join();
    if (in_time) {
      EXPECT_EQ(ready->status, 503);
      EXPECT_EQ(ready->body, "draining\n");
      EXPECT_EQ(live->status, 200);
      EXPECT_TRUE(kserve_status.ok()) << kserve_status.error_message();
      EXPECT_FALSE(kserve_ready.ready());
      EXPECT_TRUE(old_status.ok()) << old_status.error_message();
      EXPECT_TRUE(new_status.ok()) << new_status.error_message();
      return;
    }
    ASSERT_LT(delay, absl::Minutes(5)) << "too slow to prove it";
    server_.reset();
    StartServer();
  }
}

// An HTTP/2 connection on which the test says when it has heard what.

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

}  // namespace
}  // namespace ddgan
