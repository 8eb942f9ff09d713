#include "engine/device/pinned_step.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <array>

namespace ddgan {

PinnedStep::PinnedStep(const Model& model, Precision precision, int64_t rows,
                       DeviceOps& ops)
    : ops_(ops), model_(model, ops.device(), precision) {
  const ImageShape shape = model.shape();
  const at::TensorOptions floats = at::dtype(at::kFloat).device(ops.device());
  const std::array<int64_t, 4> planes = {rows, shape.channels, shape.height,
                                         shape.width};
  const std::array<int64_t, 4> interleaved = {rows, shape.height, shape.width,
                                              shape.channels};
  // Rows of zeros are valid rows: the recording may run them.
  rows_ = at::zeros({rows * static_cast<int64_t>(sizeof(DeviceRow))},
                    floats.dtype(at::kByte));
  x_next_ = at::empty(planes, floats);
  t_ = at::empty({rows}, floats.dtype(at::kLong));
  z_ = at::empty({rows, model.config().nz}, floats);
  x0_ = at::empty(planes, floats);
  x_ = at::empty(planes, floats);
  not_finite_ = at::empty({rows}, floats.dtype(at::kInt));
  x_rgb8_ = at::empty(interleaved, floats.dtype(at::kByte));
  x0_rgb8_ = at::empty(interleaved, floats.dtype(at::kByte));

  buffers_ = {rows,
              int64_t{1} * shape.channels * shape.height * shape.width,
              model.config().nz,
              static_cast<const DeviceRow*>(rows_.const_data_ptr()),
              x_next_.mutable_data_ptr<float>(),
              t_.mutable_data_ptr<int64_t>(),
              z_.mutable_data_ptr<float>(),
              x0_.const_data_ptr<float>(),
              x_.mutable_data_ptr<float>(),
              not_finite_.mutable_data_ptr<int32_t>()};
  recording_ = ops.Record(precision, [this] { RunOnce(); });
}

void PinnedStep::Enqueue(const at::Tensor& rows) {
  rows_.copy_(rows, /*non_blocking=*/true);
  recording_->Replay();
}

// Both pictures are always made into 8 bit: that costs less than a second
// recording for the steps that need it.
void PinnedStep::RunOnce() {
  ops_.StartRows(buffers_);
  x0_.copy_(model_.Run(x_next_, t_, z_));
  ops_.FinishRows(buffers_);
  ops_.ToRgb8(x_, x_rgb8_);
  ops_.ToRgb8(x0_, x0_rgb8_);
}

int64_t PinnedStep::bytes() const {
  int64_t bytes = model_.bytes();
  for (const at::Tensor* tensor : {&rows_, &x_next_, &t_, &z_, &x0_, &x_,
                                   &not_finite_, &x_rgb8_, &x0_rgb8_}) {
    bytes += static_cast<int64_t>(tensor->nbytes());
  }
  return bytes;
}

}  // namespace ddgan
