// Where the processes of a run meet: MASTER_ADDR and MASTER_PORT, before
// LibTorch's store takes over. No LibTorch.
#ifndef DDGAN_TRAINER_DISTRIBUTED_MASTER_ADDRESS_H_
#define DDGAN_TRAINER_DISTRIBUTED_MASTER_ADDRESS_H_

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace ddgan {

// Thread-compatible.
class MasterAddress {
 public:
  // A host name or IP address, and a port in [1, 65535].
  MasterAddress(std::string host, int port);

  // For messages: "MASTER_ADDR=... MASTER_PORT=...".
  std::string ToString() const;

  // For rank 0: a TCP socket that is bound to the port on loopback, for the
  // caller to close; nullopt if the host is no loopback address, or has no
  // address yet: Kubernetes publishes a pod's name a while after its start.
  // Unavailable if the port cannot be had.
  absl::StatusOr<std::optional<int>> BindLoopback() const;

  // Blocks until something listens there. DeadlineExceeded if nothing did for
  // `timeout`; says what happened last.
  absl::Status AwaitListener(absl::Duration timeout) const;

  // Numeric address of this machine's interface through which packets to the
  // host leave: a loopback address if the host's is one. Blocks for the name
  // service. Unavailable if the host has no address or no interface reaches it.
  absl::StatusOr<std::string> LocalInterface() const;

 private:
  const std::string host_;
  const int port_;
};

}  // namespace ddgan

#endif  // DDGAN_TRAINER_DISTRIBUTED_MASTER_ADDRESS_H_
