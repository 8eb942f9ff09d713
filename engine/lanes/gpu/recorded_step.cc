#include "engine/lanes/gpu/recorded_step.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <array>

namespace ddgan {
namespace {

// The first `count` rows, in the same memory.
StepMemory FirstRows(StepMemory memory, int64_t count) {
  memory.rows = memory.rows.narrow(0, 0, count * kRowBytes);
  for (at::Tensor* tensor :
       {&memory.x_next, &memory.t, &memory.z, &memory.x0, &memory.x,
        &memory.not_finite, &memory.x_rgb8, &memory.x0_rgb8}) {
    *tensor = tensor->narrow(0, 0, count);
  }
  if (memory.squares.defined())
    memory.squares = memory.squares.narrow(0, 0, count);
  return memory;
}

}  // namespace

DeviceRow DrawnRow(const Model& model, uint64_t seed, uint32_t image_index,
                   int step) {
  const Evaluation& evaluation = model.plan()[step];
  return {seed,
          image_index,
          step,
          evaluation.t,
          static_cast<uint32_t>(model.schedule().num_timesteps()),
          /*from=*/nullptr,
          /*from_scale=*/0,
          /*noise_scale=*/1,
          /*latent_scale=*/IsDenoiser(model.config()) ? 0.0f : 1.0f,
          evaluation.update,
          evaluation.correction,
          /*to=*/nullptr};
}

bool HasCorrections(const SamplingPlan& plan) {
  return std::any_of(
      plan.begin(), plan.end(),
      [](const Evaluation& evaluation) { return evaluation.corrects(); });
}

StepMemory::StepMemory(ImageShape shape, int64_t nz, int64_t row_count,
                       c10::Device device, bool corrects) {
  const at::TensorOptions floats = at::dtype(at::kFloat).device(device);
  const std::array<int64_t, 4> planes = {row_count, shape.channels,
                                         shape.height, shape.width};
  const std::array<int64_t, 4> interleaved = {row_count, shape.height,
                                              shape.width, shape.channels};
  // Rows of zeros are valid rows: the recording may run them.
  rows = at::zeros({row_count * kRowBytes}, floats.dtype(at::kByte));
  x_next = at::empty(planes, floats);
  t = at::empty({row_count}, floats.dtype(at::kLong));
  z = at::empty({row_count, nz}, floats);
  x0 = at::empty(planes, floats);
  x = at::empty(planes, floats);
  not_finite = at::empty({row_count}, floats.dtype(at::kInt));
  if (corrects) squares = at::empty({row_count, 2}, floats.dtype(at::kDouble));
  x_rgb8 = at::empty(interleaved, floats.dtype(at::kByte));
  x0_rgb8 = at::empty(interleaved, floats.dtype(at::kByte));
}

int64_t StepMemory::bytes() const {
  int64_t bytes =
      squares.defined() ? static_cast<int64_t>(squares.nbytes()) : 0;
  for (const at::Tensor* tensor :
       {&rows, &x_next, &t, &z, &x0, &x, &not_finite, &x_rgb8, &x0_rgb8}) {
    bytes += static_cast<int64_t>(tensor->nbytes());
  }
  return bytes;
}

RecordedStep::RecordedStep(const GpuGenerator& model,
                           Convolutions& convolutions, Precision precision,
                           int64_t rows, const StepMemory& memory,
                           const RecordedStep* neighbour, DeviceOps& ops)
    : ops_(ops),
      model_(model),
      convolutions_(convolutions),
      rows_(rows),
      memory_(FirstRows(memory, rows)) {
  buffers_ = {rows,
              memory_.x.numel() / rows,
              memory_.z.size(1),
              static_cast<const DeviceRow*>(memory_.rows.const_data_ptr()),
              memory_.x_next.mutable_data_ptr<float>(),
              memory_.t.mutable_data_ptr<int64_t>(),
              memory_.z.mutable_data_ptr<float>(),
              memory_.x0.const_data_ptr<float>(),
              memory_.x.mutable_data_ptr<float>(),
              memory_.not_finite.mutable_data_ptr<int32_t>(),
              memory_.squares.defined()
                  ? memory_.squares.mutable_data_ptr<double>()
                  : nullptr};
  // The recording runs the rows, and those of a step before may name memory
  // that is somebody else's by now.
  memory_.rows.zero_();
  recording_ = ops.Record(
      precision, neighbour == nullptr ? nullptr : neighbour->recording_.get(),
      [this] { RunOnce(); });
}

void RecordedStep::Enqueue(const at::Tensor& rows) {
  memory_.rows.copy_(rows, /*non_blocking=*/true);
  recording_->Replay();
}

// Both pictures are always made into 8 bit: that costs less than a second
// recording for the steps that need it.
void RecordedStep::RunOnce() {
  ops_.StartRows(buffers_);
  memory_.x0.copy_(
      model_.Run(memory_.x_next, memory_.t, memory_.z, convolutions_));
  ops_.FinishRows(buffers_);
  ops_.ToRgb8(memory_.x, memory_.x_rgb8);
  ops_.ToRgb8(memory_.x0, memory_.x0_rgb8);
}

}  // namespace ddgan
