#include <ATen/Context.h>
#include <ATen/cuda/CUDAGraph.h>
#include <ATen/ops/empty.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAEvent.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include <exception>
#include <string>
#include <utility>

#include "absl/base/attributes.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "engine/base/cuda_devices.h"
#include "engine/imaging/to_rgb8_gpu.h"
#include "engine/lanes/gpu/device_ops.h"
#include "engine/lanes/gpu/row_kernels_gpu.h"

namespace ddgan {
namespace {

class Graph : public DeviceOps::Recording {
 public:
  // Runs `work` twice before it records: libraries initialise themselves and
  // choose kernels then, which a graph cannot record.
  Graph(const std::function<void()>& work, const Graph* neighbour) {
    const c10::cuda::CUDAStream stream = c10::cuda::getCurrentCUDAStream();
    for (int i = 0; i < 2; ++i) work();
    stream.synchronize();
    // Thread-local: what other lanes do meanwhile is none of this graph's
    // business.
    graph_.capture_begin(
        neighbour == nullptr ? at::cuda::MempoolId_t{0, 0} : neighbour->pool_,
        cudaStreamCaptureModeThreadLocal);
    try {
      work();
    } catch (...) {
      EndCapture();
      throw;
    }
    graph_.capture_end();
    pool_ = graph_.pool();
    // What the runs before the recording left behind.
    c10::cuda::CUDACachingAllocator::emptyCache();
  }

  void Replay() override { graph_.replay(); }

 private:
  // After an error, which is what the caller wants to hear of.
  void EndCapture() {
    try {
      graph_.capture_end();
    } catch (const std::exception&) {
    }
  }

  at::cuda::CUDAGraph graph_;
  at::cuda::MempoolId_t pool_;
};

class CudaOps : public DeviceOps {
 public:
  explicit CudaOps(c10::DeviceIndex index)
      : device_(c10::kCUDA, index),
        stream_(c10::cuda::getStreamFromPool(/*isHighPriority=*/false, index)) {
  }

  c10::Device device() const override { return device_; }

  at::Tensor HostMemory(int64_t bytes) const override {
    // Without the guard it would belong to GPU 0, and wake it up.
    const c10::cuda::CUDAGuard guard(device_);
    return at::empty({bytes}, at::TensorOptions(at::kByte).pinned_memory(true));
  }

  absl::Duration Run(absl::FunctionRef<void()> work) override {
    const c10::cuda::CUDAStreamGuard guard(stream_);
    started_.record(stream_);
    try {
      work();
    } catch (...) {
      // The caller is about to reuse memory that the device may still write.
      Drain();
      throw;
    }
    ended_.record(stream_);
    ended_.synchronize();
    return absl::Milliseconds(started_.elapsed_time(ended_));
  }

  std::unique_ptr<Recording> Record(Precision precision,
                                    const Recording* neighbour,
                                    std::function<void()> work) override {
    // LibTorch's number formats are the process's, but only recording reads
    // them: replays do what was recorded. They are read until the last run
    // below has been enqueued, so the lock covers the runs, and a lane whose
    // device hangs in one holds up the recordings of others.
    ABSL_CONST_INIT static absl::Mutex mutex(absl::kConstInit);
    const absl::MutexLock lock(&mutex);
    at::Context& context = at::globalContext();
    const bool tf32 = precision == Precision::kTf32;
    context.setAllowTF32CuDNN(tf32);
    context.setAllowTF32CuBLAS(tf32);
    context.setBenchmarkCuDNN(false);
    context.setDeterministicCuDNN(true);
    return std::make_unique<Graph>(work, static_cast<const Graph*>(neighbour));
  }

  std::unique_ptr<Convolutions> NewConvolutions(Precision precision) override {
    return NewCudnnConvolutions(precision);
  }

  void StartRows(const RowBuffers& buffers) override { StartRowsGpu(buffers); }
  void FinishRows(const RowBuffers& buffers) override {
    FinishRowsGpu(buffers);
  }

  void ToRgb8(const at::Tensor& images, const at::Tensor& rows) override {
    const absl::Status status =
        ToRgb8Gpu(images.const_data_ptr<float>(), images.size(0),
                  images.size(1), images.size(2) * images.size(3),
                  rows.mutable_data_ptr<uint8_t>(), device_.index());
    TORCH_CHECK(status.ok(), std::string(status.message()));
  }

 private:
  void Drain() {
    try {
      stream_.synchronize();
    } catch (const std::exception&) {
      // The device is lost: it writes nothing more.
    }
  }

  const c10::Device device_;
  const c10::cuda::CUDAStream stream_;
  // With timing; the host sleeps while it waits.
  c10::cuda::CUDAEvent started_{cudaEventBlockingSync};
  c10::cuda::CUDAEvent ended_{cudaEventBlockingSync};
};

}  // namespace

absl::StatusOr<std::unique_ptr<DeviceOps>> NewCudaOps(int index) {
  const int count = CudaDeviceCount();
  if (index < 0 || index >= count) {
    return absl::FailedPreconditionError(
        absl::StrCat("device is 'cuda:", index, "', but this machine has ",
                     count, " GPUs that LibTorch can use"));
  }
  at::globalContext().lazyInitDevice(c10::kCUDA);
  return std::make_unique<CudaOps>(static_cast<c10::DeviceIndex>(index));
}

}  // namespace ddgan
