// Takes the place of nccl_backend.cc in a build without CUDA.
#include "trainer/distributed/c10d_backends.h"

namespace ddgan {

absl::StatusOr<c10::intrusive_ptr<c10d::Backend>> ConnectNccl(
    const ProcessEnvironment&, const Rendezvous&, absl::Duration) {
  return absl::UnimplementedError(
      "process group: NCCL needs a build with CUDA; use gloo");
}

}  // namespace ddgan
