// One denoising step of one model for batches of exactly N rows: from
// DeviceRows to the next state, x0' and their pixels, in memory that is
// allocated once and recorded once (a CUDA graph).
#ifndef DDGAN_ENGINE_LANES_GPU_RECORDED_STEP_H_
#define DDGAN_ENGINE_LANES_GPU_RECORDED_STEP_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>

#include "engine/api/generation.h"
#include "engine/api/precision.h"
#include "engine/diffusion/update_rule.h"
#include "engine/lanes/gpu/device_ops.h"
#include "engine/lanes/gpu/row_kernels.h"
#include "engine/model/convolutions.h"
#include "engine/model/gpu_generator.h"
#include "engine/model/model.h"

namespace ddgan {

// The row of a trajectory that starts at `step` of the model's plan from noise
// alone, and whose next state nobody keeps.
DeviceRow DrawnRow(const Model& model, uint64_t seed, uint32_t image_index,
                   int step);

// Whether any step of the plan is a Langevin correction.
bool HasCorrections(const SamplingPlan& plan);

// What a step reads and leaves, on the device, for up to `rows` rows. Steps of
// several shapes use the same: each its first rows.
struct StepMemory {
  // `corrects`: some rows may be Langevin corrections. Throws
  // c10::OutOfMemoryError.
  StepMemory(ImageShape shape, int64_t nz, int64_t rows, c10::Device device,
             bool corrects);

  int64_t bytes() const;

  // See RowBuffers.
  at::Tensor rows;    // [rows] DeviceRows as uint8
  at::Tensor x_next;  // [rows, C, S, S]
  at::Tensor t;
  at::Tensor z;
  at::Tensor x0;
  at::Tensor x;
  at::Tensor not_finite;  // [rows] int32, 1 where x has an infinity or a NaN
  at::Tensor squares;     // [rows, 2] float64; undefined without corrections
  at::Tensor x_rgb8;      // [rows, S, S, C], uint8
  at::Tensor x0_rgb8;
};

// Thread-compatible: one lane's. Throws what LibTorch throws.
class RecordedStep {
 public:
  // Records the step; may block on the device. `rows` is N, at most the
  // memory's. All but `neighbour` (DeviceOps::Record) outlive this. Only inside
  // ops.Run.
  RecordedStep(const GpuGenerator& model, Convolutions& convolutions,
               Precision precision, int64_t rows, const StepMemory& memory,
               const RecordedStep* neighbour, DeviceOps& ops);

  RecordedStep(const RecordedStep&) = delete;
  RecordedStep& operator=(const RecordedStep&) = delete;

  // Enqueues the step for `rows`, N DeviceRows as uint8 in host memory that
  // must stay until the device is done. Leaves its results in the memory's
  // first N rows until the next step of any shape. Only inside ops.Run.
  void Enqueue(const at::Tensor& rows);

  int64_t rows() const { return rows_; }  // N

 private:
  void RunOnce();

  DeviceOps& ops_;
  const GpuGenerator& model_;
  Convolutions& convolutions_;
  const int64_t rows_;
  const StepMemory memory_;  // The first N rows of it.
  RowBuffers buffers_;
  std::unique_ptr<DeviceOps::Recording> recording_;
};

}  // namespace ddgan

#endif  // DDGAN_ENGINE_LANES_GPU_RECORDED_STEP_H_
