// The two ways in which LibTorch lets processes talk, and the store through
// which they find each other. Included by process_group.cc alone: c10d's
// headers are large.
#ifndef DDGAN_TRAINER_DISTRIBUTED_C10D_BACKENDS_H_
#define DDGAN_TRAINER_DISTRIBUTED_C10D_BACKENDS_H_

#include <string>
#include <torch/csrc/distributed/c10d/Backend.hpp>
#include <torch/csrc/distributed/c10d/Store.hpp>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "trainer/distributed/process_environment.h"

namespace ddgan {

struct Rendezvous {
  // Served by rank 0 for as long as its own copy lives, or by the launcher.
  c10::intrusive_ptr<c10d::Store> store;
  // Numeric address of this machine's interface towards MASTER_ADDR.
  std::string local_address;
};

// Blocks until all processes are there, for at most `timeout` until rank 0
// is, and as long again until the others are. Rank 0 listens on the master's
// port, on loopback alone if the master's address is loopback, else on every
// interface; it does not if the launcher keeps a store there. `environment` has
// more than one process.
//   DeadlineExceeded  not all came within `timeout`; names who is missing
//   InvalidArgument   processes were told different sizes or the same rank
//   Unavailable       the port cannot be had, or rank 0 left meanwhile, e.g.
//                     because it ran out of time a little earlier
absl::StatusOr<Rendezvous> Meet(const ProcessEnvironment& environment,
                                absl::Duration timeout);

// Connects every pair of processes over TCP between their `local_address`es.
// Operations take tensors on the CPU and end after `timeout`.
//   DeadlineExceeded, Unavailable  as of CollectiveError
absl::StatusOr<c10::intrusive_ptr<c10d::Backend>> ConnectGloo(
    const ProcessEnvironment& environment, const Rendezvous& rendezvous,
    absl::Duration timeout);

// For tensors on GPU `environment.local_rank`. Waiting for an operation blocks
// the caller until the GPU is through with it, so that a lost process is an
// error here and not the end of the program in a thread of NCCL's.
//   InvalidArgument  this machine has no such GPU
//   Unavailable      NCCL cannot start
//   Unimplemented    a build without CUDA
absl::StatusOr<c10::intrusive_ptr<c10d::Backend>> ConnectNccl(
    const ProcessEnvironment& environment, const Rendezvous& rendezvous,
    absl::Duration timeout);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_DISTRIBUTED_C10D_BACKENDS_H_
