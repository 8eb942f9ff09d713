// The processes that train one model together, each on its own share of every
// batch: joining, and what they say to each other.
//
// Everything is a collective: it ends when every process has called it, so all
// processes make the same calls in the same order with tensors of the same
// shape and type. Wire traffic is neither encrypted nor authenticated: ranks
// belong on a network of their own.
#ifndef DDGAN_TRAINER_DISTRIBUTED_PROCESS_GROUP_H_
#define DDGAN_TRAINER_DISTRIBUTED_PROCESS_GROUP_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "trainer/distributed/process_environment.h"

namespace ddgan {

enum class CollectiveBackend {
  kGloo,  // tensors on the CPU, over TCP
  kNccl,  // tensors on GPU `local_rank`; builds with CUDA only
};

// A sum under way. Movable; may be dropped without waiting, though the tensor
// then changes at some time later. Thread-compatible.
class PendingSum {
 public:
  PendingSum(PendingSum&&) noexcept;
  PendingSum& operator=(PendingSum&&) noexcept;
  ~PendingSum();

  // Blocks until the sum stands in the tensor, on every call but the first
  // returns at once what the first did. What goes wrong already at the start
  // comes back here as well. After an error the tensor holds anything.
  //   DeadlineExceeded  another process did not answer within the timeout
  //   Unavailable       another process is gone
  //   InvalidArgument   the tensor is not contiguous, or on a kind of device
  //                     that is not the backend's; nothing was sent
  //   Internal          LibTorch refused the tensor, e.g. its type
  absl::Status Wait();

 private:
  friend class ProcessGroup;
  struct State;
  explicit PendingSum(std::unique_ptr<State> state);

  std::unique_ptr<State> state_;
};

// Thread-compatible; PendingSum::Wait is a call like any other here. A call
// after one that failed with Unavailable or DeadlineExceeded fails with the
// same status at once: a group does not heal, the run starts again from its
// saved state.
class ProcessGroup {
 public:
  // Blocks until all processes are there and connected. `timeout`, [1 s, 24 h],
  // is the longest wait for rank 0, then that for the other processes, then
  // that for an answer in each operation: it must exceed the time by which the
  // slowest process is behind the fastest, e.g. while rank 0 publishes a
  // version. With one process nothing is listened at or connected to, every
  // operation is a no-op, and `backend` is not looked at. With more than one
  // SIGPIPE is ignored from then on, for whoever has not done so in main.
  //   DeadlineExceeded  who is missing, where, and for how long it was awaited
  //   InvalidArgument   `timeout` out of range, processes that were told
  //                     different sizes or the same rank, or no such GPU
  //   Unavailable       the master's port cannot be had or its name has no
  //                     address, or a process left meanwhile
  //   Unimplemented     kNccl in a build without CUDA
  static absl::StatusOr<std::unique_ptr<ProcessGroup>> Join(
      const ProcessEnvironment& environment, CollectiveBackend backend,
      absl::Duration timeout);

  // Closes the connections, or leaves that to the last PendingSum if one is
  // left. Blocks until what is under way has ended: with every process well at
  // once, else for at most the timeout. Other processes that still wait for
  // this one then get Unavailable.
  ~ProcessGroup();

  int rank() const;
  int size() const;

  // Replaces `tensor` by that of rank 0 and returns when it has arrived.
  // `tensor` is contiguous, on the backend's kind of device. Errors as of
  // PendingSum::Wait.
  absl::Status BroadcastFromFirst(const at::Tensor& tensor);

  // Starts to replace `tensor`, contiguous and on the backend's kind of device,
  // by the sum of those of all processes, and returns. Every process gets the
  // same bytes. The tensor's memory is kept alive; it must not be read or
  // written until Wait has returned. Several sums may be under way.
  PendingSum AllReduceSum(const at::Tensor& tensor);

  // Every process's `value`, by rank. Blocks. For what all must agree on:
  // whether to stop, the newest step on every disk, whether a loss went bad.
  // Errors as of PendingSum::Wait.
  absl::StatusOr<std::vector<int64_t>> AllGather(int64_t value);

  // Blocks until every process is here. Errors as of PendingSum::Wait.
  absl::Status Barrier();

 private:
  friend class PendingSum;
  struct State;
  explicit ProcessGroup(std::shared_ptr<State> state);

  const std::shared_ptr<State> state_;
};

}  // namespace ddgan

#endif  // DDGAN_TRAINER_DISTRIBUTED_PROCESS_GROUP_H_
