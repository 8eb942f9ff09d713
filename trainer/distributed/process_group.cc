#include "trainer/distributed/process_group.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>

#include <exception>
#include <torch/csrc/distributed/c10d/Types.hpp>
#include <torch/csrc/distributed/c10d/Work.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/base/process_signals.h"
#include "trainer/distributed/c10d_backends.h"
#include "trainer/distributed/c10d_errors.h"

namespace ddgan {
namespace {

constexpr absl::Duration kMinTimeout = absl::Seconds(1);
constexpr absl::Duration kMaxTimeout = absl::Hours(24);

}  // namespace

struct ProcessGroup::State {
  ~State() {
    if (backend == nullptr) return;
    try {
      // What is under way with a process that is gone never ends by itself in
      // NCCL. Gloo ignores both calls: its operations end by the timeout.
      if (broken.ok()) {
        backend->shutdown();
      } else {
        backend->abort();
      }
    } catch (const std::exception&) {
      // The group is given up in any case.
    }
  }

  // Gloo would take memory that is not contiguous as if it were.
  absl::Status CheckTensor(const at::Tensor& tensor) const {
    if (tensor.defined() && tensor.is_contiguous() &&
        tensor.device().type() == device.type()) {
      return absl::OkStatus();
    }
    return absl::InvalidArgumentError(
        absl::StrCat("process group: a tensor must be contiguous, on the ",
                     at::DeviceTypeName(device.type())));
  }

  // Runs `start` and, if it gives a Work, waits for that.
  template <typename Start>
  absl::Status Run(const Start& start) {
    c10::intrusive_ptr<c10d::Work> work;
    absl::Status status = Guard([&] { work = start(); });
    if (!status.ok()) return status;
    return Guard([&] { work->wait(); });
  }

  // `call`, unless the group is broken; breaks the group if it throws what
  // says so.
  template <typename Call>
  absl::Status Guard(const Call& call) {
    if (!broken.ok()) return broken;
    try {
      call();
      return absl::OkStatus();
    } catch (const c10::DistError& e) {
      broken = CollectiveError(e.what_without_backtrace(), timeout);
      return broken;
    } catch (const c10::Error& e) {
      return absl::InternalError(
          absl::StrCat("process group: ", e.what_without_backtrace()));
    } catch (const std::exception& e) {
      // Gloo's own exceptions.
      broken = CollectiveError(e.what(), timeout);
      return broken;
    }
  }

  ProcessEnvironment environment;
  absl::Duration timeout;
  // Where tensors of this class's own making go.
  at::Device device = at::kCPU;
  // The first failure after which nobody can be talked to.
  absl::Status broken;
  c10::intrusive_ptr<c10d::Store> store;
  // Null with one process. Destroyed before the store, which NCCL asks.
  c10::intrusive_ptr<c10d::Backend> backend;
};

struct PendingSum::State {
  std::shared_ptr<ProcessGroup::State> group;
  c10::intrusive_ptr<c10d::Work> work;  // Null once it has been waited for.
  absl::Status result;
};

PendingSum::PendingSum(std::unique_ptr<State> state)
    : state_(std::move(state)) {}
PendingSum::PendingSum(PendingSum&&) noexcept = default;
PendingSum& PendingSum::operator=(PendingSum&&) noexcept = default;
PendingSum::~PendingSum() = default;

absl::Status PendingSum::Wait() {
  if (state_->work != nullptr) {
    const c10::intrusive_ptr<c10d::Work> work = std::move(state_->work);
    state_->result = state_->group->Guard([&] { work->wait(); });
  }
  return state_->result;
}

absl::StatusOr<std::unique_ptr<ProcessGroup>> ProcessGroup::Join(
    const ProcessEnvironment& environment, CollectiveBackend backend,
    absl::Duration timeout) {
  if (timeout < kMinTimeout || timeout > kMaxTimeout) {
    return absl::InvalidArgumentError(
        absl::StrCat("process group: timeout ", absl::FormatDuration(timeout),
                     ": must be in [", absl::FormatDuration(kMinTimeout), ", ",
                     absl::FormatDuration(kMaxTimeout), "]"));
  }
  auto state = std::make_shared<State>();
  state->environment = environment;
  state->timeout = timeout;
  if (environment.size == 1) {
    return std::unique_ptr<ProcessGroup>(new ProcessGroup(std::move(state)));
  }
  // Gloo writes to connections that the other end may just have left.
  IgnoreBrokenPipes();
  absl::StatusOr<Rendezvous> rendezvous = Meet(environment, timeout);
  if (!rendezvous.ok()) return rendezvous.status();
  state->store = rendezvous->store;
  const bool nccl = backend == CollectiveBackend::kNccl;
  absl::StatusOr<c10::intrusive_ptr<c10d::Backend>> connected =
      nccl ? ConnectNccl(environment, *rendezvous, timeout)
           : ConnectGloo(environment, *rendezvous, timeout);
  if (!connected.ok()) return connected.status();
  state->backend = *std::move(connected);
  if (nccl) {
    state->device = at::Device(
        at::kCUDA, static_cast<at::DeviceIndex>(environment.local_rank));
  }
  std::unique_ptr<ProcessGroup> group(new ProcessGroup(std::move(state)));
  // Nobody goes on, and perhaps ends, while another still asks the store; and
  // NCCL, which connects in the first operation, fails here if it does.
  absl::Status together = group->Barrier();
  if (!together.ok()) return together;
  return group;
}

ProcessGroup::ProcessGroup(std::shared_ptr<State> state)
    : state_(std::move(state)) {}

ProcessGroup::~ProcessGroup() = default;

int ProcessGroup::rank() const { return state_->environment.rank; }
int ProcessGroup::size() const { return state_->environment.size; }

absl::Status ProcessGroup::BroadcastFromFirst(const at::Tensor& tensor) {
  if (state_->backend == nullptr) return absl::OkStatus();
  absl::Status valid = state_->CheckTensor(tensor);
  if (!valid.ok()) return valid;
  return state_->Run([&] {
    std::vector<at::Tensor> tensors = {tensor};
    return state_->backend->broadcast(tensors);
  });
}

PendingSum ProcessGroup::AllReduceSum(const at::Tensor& tensor) {
  auto pending = std::make_unique<PendingSum::State>();
  pending->group = state_;
  if (state_->backend != nullptr) {
    pending->result = state_->CheckTensor(tensor);
    if (!pending->result.ok()) return PendingSum(std::move(pending));
    pending->result = state_->Guard([&] {
      std::vector<at::Tensor> tensors = {tensor};
      pending->work = state_->backend->allreduce(tensors);
    });
  }
  return PendingSum(std::move(pending));
}

absl::StatusOr<std::vector<int64_t>> ProcessGroup::AllGather(int64_t value) {
  if (state_->backend == nullptr) return std::vector<int64_t>{value};
  std::vector<at::Tensor> gathered;
  absl::Status status = state_->Run([&] {
    const at::TensorOptions options =
        at::TensorOptions(at::kLong).device(state_->device);
    std::vector<at::Tensor> own = {at::full({1}, value, options)};
    for (int rank = 0; rank < size(); ++rank) {
      gathered.push_back(at::empty({1}, options));
    }
    std::vector<std::vector<at::Tensor>> all = {gathered};
    return state_->backend->allgather(all, own);
  });
  if (!status.ok()) return status;
  std::vector<int64_t> values;
  status = state_->Guard([&] {
    for (const at::Tensor& tensor : gathered) {
      values.push_back(tensor.item<int64_t>());
    }
  });
  if (!status.ok()) return status;
  return values;
}

absl::Status ProcessGroup::Barrier() { return AllGather(0).status(); }

}  // namespace ddgan
