#include "server/connections/gated_service.h"

#include <google/protobuf/descriptor.h>
#include <grpcpp/grpcpp.h>

#include <string>

#include "engine/base/monotonic_clock.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "gtest/gtest.h"
#include "tests/server/raw_connection.h"

namespace ddgan {
namespace {

using grpc::health::v1::Health;

// A drain waits for what counts.
TEST(GatedServiceTest, ARequestOnItsWayCountsIfItsMethodBooks) {
  Health::CallbackService service;
  CallsInFlight calls(RealMonotonicClock());
  DeadlineTimer timer(RealMonotonicClock());
  ConnectionObserver observer;
  RequestGate gate({}, &timer, &observer);
  GatedService gated(
      &service,
      *google::protobuf::DescriptorPool::generated_pool()->FindServiceByName(
          Health::service_full_name()),
      {.gate = &gate,
       .calls = &calls,
       .max_metadata_bytes = 1 << 14,
       .booking_methods = {"Check"},
       .on_progress = [](const PeerEndpoint&) {}});
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(),
                           &port);
  builder.RegisterService(&gated);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  ASSERT_NE(server, nullptr);

  RawConnection caller(port);
  // A message that announces 1 MiB and has begun, of a method that does not
  // book and of one that does. Windows grow once a message is being received.
  const std::string half = std::string("\0\0\x10\0\0", 5) + "begun";
  uint32_t stream = 1;
  for (const char* method : {"Watch", "Check"}) {
    caller.BeginCall(stream, std::string("/grpc.health.v1.Health/") + method);
    caller.SendFrame(RawConnection::kData, 0, stream, half);
    while (caller.ReadUntil(RawConnection::kWindowUpdate).stream != stream) {
    }
    EXPECT_EQ(calls.Now().count, stream == 1 ? 0 : 1);
    stream += 2;
  }
  server->Shutdown(std::chrono::system_clock::now());
  EXPECT_EQ(calls.Now().count, 0);
}

}  // namespace
}  // namespace ddgan
