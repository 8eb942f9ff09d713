// What a GPU lane needs of its device beyond LibTorch's operators. The CPU's
// version, for the GPU step on the CPU, is plain calls in the same order, so
// that all logic above it is tested on a machine without a GPU.
#ifndef DDGAN_ENGINE_LANES_GPU_DEVICE_OPS_H_
#define DDGAN_ENGINE_LANES_GPU_DEVICE_OPS_H_

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstdint>
#include <functional>
#include <memory>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "engine/api/precision.h"
#include "engine/lanes/gpu/row_kernels.h"
#include "engine/model/convolutions.h"

namespace ddgan {

// Thread-compatible: one lane's. All methods may throw what LibTorch throws.
class DeviceOps {
 public:
  // Work that was recorded once and runs as often as wanted.
  class Recording {
   public:
    virtual ~Recording() = default;
    // Enqueues the work. Only inside DeviceOps::Run.
    virtual void Replay() = 0;
  };

  virtual ~DeviceOps() = default;

  virtual c10::Device device() const = 0;

  // `bytes` of host memory, uint8 [bytes], that the device copies to and from
  // without the host's help.
  virtual at::Tensor HostMemory(int64_t bytes) const = 0;

  // Runs `work`, which enqueues on the lane's stream, and blocks until the
  // device has done all of it, also if `work` throws. Returns the time that it
  // took, by the device's clock where it has one.
  virtual absl::Duration Run(absl::FunctionRef<void()> work) = 0;

  // Records what `work` does on the device in the given number format, as a
  // CUDA graph; runs it first, at least once. When it is recorded, `work`
  // copies nothing between host and device; the memory that it uses and did not
  // make must outlive the recording. Memory that it makes, and holds until it
  // ends at most, is shared with `neighbour`, a recording that is never
  // replayed at the same time, if that is not null. Only inside Run.
  virtual std::unique_ptr<Recording> Record(Precision precision,
                                            const Recording* neighbour,
                                            std::function<void()> work) = 0;

  // Convolutions for work that is recorded in the given number format.
  virtual std::unique_ptr<Convolutions> NewConvolutions(
      Precision precision) = 0;

  // The functions of row_kernels.h for every block of every row; FinishRows
  // also fills in the squares of corrections first. Only inside Run.
  virtual void StartRows(const RowBuffers& buffers) = 0;
  virtual void FinishRows(const RowBuffers& buffers) = 0;

  // images [N, C, H, W] to rows [N, H, W, C] as ToRgb8 does, but into memory
  // that is there: both contiguous on the device, float32 and uint8. Only
  // inside Run.
  virtual void ToRgb8(const at::Tensor& images, const at::Tensor& rows) = 0;
};

std::unique_ptr<DeviceOps> NewCpuOps();

// GPU `index` as LibTorch counts them. Throws c10::Error if it does not work.
//   Unimplemented       this build has no CUDA
//   FailedPrecondition  there is no such GPU
absl::StatusOr<std::unique_ptr<DeviceOps>> NewCudaOps(int index);

}  // namespace ddgan

#endif  // DDGAN_ENGINE_LANES_GPU_DEVICE_OPS_H_
