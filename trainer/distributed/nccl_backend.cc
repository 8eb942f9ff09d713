#include <cstdlib>
#include <exception>
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>

#include "absl/strings/str_cat.h"
#include "engine/base/cuda_devices.h"
#include "trainer/distributed/c10d_backends.h"
#include "trainer/distributed/c10d_errors.h"

namespace ddgan {

absl::StatusOr<c10::intrusive_ptr<c10d::Backend>> ConnectNccl(
    const ProcessEnvironment& environment, const Rendezvous& rendezvous,
    absl::Duration timeout) {
  const int gpus = CudaDeviceCount();
  if (environment.local_rank >= gpus) {
    return absl::InvalidArgumentError(absl::StrCat(
        "local rank ", environment.local_rank,
        ": each process has a GPU of its own with NCCL, and this machine has ",
        gpus));
  }
  // NCCL's default ends the whole process from a thread of its own when
  // another process is lost. Whoever sets the variable chooses for himself.
  setenv("TORCH_NCCL_BLOCKING_WAIT", "1", /*overwrite=*/0);
  try {
    auto options = c10d::ProcessGroupNCCL::Options::create();
    options->timeout = absl::ToChronoMilliseconds(timeout);
    return c10::intrusive_ptr<c10d::Backend>(
        c10::make_intrusive<c10d::ProcessGroupNCCL>(
            rendezvous.store, environment.rank, environment.size, options));
  } catch (const std::exception& e) {
    return absl::UnavailableError(absl::StrCat(
        "process group: NCCL cannot start: ", FirstLine(e.what())));
  }
}

}  // namespace ddgan
