#include "server/connections/connection_drain.h"

#include <grpc/support/time.h>
#include <grpcpp/alarm.h>
#include <grpcpp/version_info.h>

#include "absl/synchronization/notification.h"

// gRPC has no public call for any of this. Its library exports what its own
// tests use; the class is declared here with these functions alone, since no
// header of it is installed. A grpc_server is a grpc_core::Server there.
static_assert(GRPC_CPP_VERSION_MAJOR == 1 && GRPC_CPP_VERSION_MINOR == 51,
              "look again at src/core/lib/surface/server.h of this gRPC");

namespace grpc_core {

class Server {
 public:
  void SendGoaways();
};

}  // namespace grpc_core

namespace ddgan {
namespace {

grpc_core::Server* CoreOf(grpc::Server* server) {
  return reinterpret_cast<grpc_core::Server*>(server->c_server());
}

}  // namespace

void SendGoaways(grpc::Server* server) {
  // Not here: it needs what gRPC keeps in its threads' local storage.
  absl::Notification done;
  grpc::Alarm alarm;
  alarm.Set(gpr_now(GPR_CLOCK_MONOTONIC), [&done, core = CoreOf(server)](bool) {
    core->SendGoaways();
    done.Notify();
  });
  done.WaitForNotification();
}

}  // namespace ddgan
