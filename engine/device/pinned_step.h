// One denoising step of one model, always for the same number of rows P: from
// DeviceRows to x_t, x0' and their pixels, in memory that is allocated once and
// recorded once (a CUDA graph).
#ifndef DDGAN_ENGINE_DEVICE_PINNED_STEP_H_
#define DDGAN_ENGINE_DEVICE_PINNED_STEP_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>

#include "engine/device/device_ops.h"
#include "engine/device/row_kernels.h"
#include "engine/model/model.h"
#include "engine/model/tensor_model.h"
#include "engine/precision.h"

namespace ddgan {

// Thread-compatible: one lane's. Throws what LibTorch throws.
class PinnedStep {
 public:
  // Copies the weights and records the step. `rows` is P. `ops` outlives this.
  // Only inside ops.Run.
  PinnedStep(const Model& model, Precision precision, int64_t rows,
             DeviceOps& ops);

  PinnedStep(const PinnedStep&) = delete;
  PinnedStep& operator=(const PinnedStep&) = delete;

  // Enqueues the step for `rows`, P DeviceRows as uint8 in host memory that
  // must stay until the device is done. Only inside ops.Run.
  void Enqueue(const at::Tensor& rows);

  // What the last step enqueued leaves, on the device until the next one.
  const at::Tensor& x() const { return x_; }            // [P, C, S, S]
  const at::Tensor& x0() const { return x0_; }          // [P, C, S, S]
  const at::Tensor& x_rgb8() const { return x_rgb8_; }  // [P, S, S, C], uint8
  const at::Tensor& x0_rgb8() const { return x0_rgb8_; }
  // [P] int32, 1 where x_t has a value that is infinite or NaN.
  const at::Tensor& not_finite() const { return not_finite_; }

  // Device memory of weights and of this step's rows.
  int64_t bytes() const;

 private:
  void RunOnce();

  DeviceOps& ops_;
  const TensorModel model_;
  // All on the device; see RowBuffers.
  at::Tensor rows_;
  at::Tensor x_next_;
  at::Tensor t_;
  at::Tensor z_;
  at::Tensor x0_;
  at::Tensor x_;
  at::Tensor not_finite_;
  at::Tensor x_rgb8_;
  at::Tensor x0_rgb8_;
  RowBuffers buffers_;
  std::unique_ptr<DeviceOps::Recording> recording_;
};

}  // namespace ddgan

#endif  // DDGAN_ENGINE_DEVICE_PINNED_STEP_H_
