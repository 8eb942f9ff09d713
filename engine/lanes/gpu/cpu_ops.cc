#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include <utility>

#include "absl/types/span.h"
#include "engine/base/monotonic_clock.h"
#include "engine/imaging/to_rgb8_cpu.h"
#include "engine/lanes/gpu/device_ops.h"

namespace ddgan {
namespace {

class Call : public DeviceOps::Recording {
 public:
  explicit Call(std::function<void()> work) : work_(std::move(work)) {}
  void Replay() override { work_(); }

 private:
  const std::function<void()> work_;
};

class CpuOps : public DeviceOps {
 public:
  // One thread, so that neither results nor waiting depend on LibTorch's pool.
  CpuOps() { at::set_num_threads(1); }

  c10::Device device() const override { return c10::kCPU; }

  at::Tensor HostMemory(int64_t bytes) const override {
    return at::empty({bytes}, at::kByte);
  }

  absl::Duration Run(absl::FunctionRef<void()> work) override {
    const absl::Time start = RealMonotonicClock()->Now();
    work();
    return RealMonotonicClock()->Now() - start;
  }

  std::unique_ptr<Recording> Record(Precision, const Recording*,
                                    std::function<void()> work) override {
    work();
    return std::make_unique<Call>(std::move(work));
  }

  std::unique_ptr<Convolutions> NewConvolutions(Precision) override {
    return NewLibTorchConvolutions();
  }

  void StartRows(const RowBuffers& buffers) override {
    for (int64_t r = 0; r < buffers.rows; ++r) {
      for (int64_t block = 0; block < StartBlocks(buffers); ++block) {
        StartBlock(buffers, r, block);
      }
    }
  }

  void FinishRows(const RowBuffers& buffers) override {
    for (int64_t r = 0; r < buffers.rows; ++r) {
      if (buffers.row[r].correction.alpha > 0) {
        double squares[2] = {0, 0};
        for (int64_t block = 0; block < FinishBlocks(buffers); ++block) {
          AddSquares(buffers, r, block, squares);
        }
        buffers.squares[2 * r] = squares[0];
        buffers.squares[2 * r + 1] = squares[1];
      }
      for (int64_t block = 0; block < FinishBlocks(buffers); ++block) {
        FinishBlock(buffers, r, block);
      }
    }
  }

  void ToRgb8(const at::Tensor& images, const at::Tensor& rows) override {
    const size_t elements = images.numel();
    ToRgb8Cpu(
        absl::MakeSpan(images.const_data_ptr<float>(), elements),
        {static_cast<int>(images.size(1)), static_cast<int>(images.size(2)),
         static_cast<int>(images.size(3))},
        absl::MakeSpan(rows.mutable_data_ptr<uint8_t>(), elements));
  }
};

}  // namespace

std::unique_ptr<DeviceOps> NewCpuOps() { return std::make_unique<CpuOps>(); }

}  // namespace ddgan
