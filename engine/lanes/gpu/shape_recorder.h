// The batch shapes in which one model runs on one GPU lane.
//
// A shape is recorded when a batch first calls for it. One, the pinned shape,
// decides the bytes; another is used only after it has made up to 64 images,
// over all steps, in the bytes of the pinned one.
#ifndef DDGAN_ENGINE_LANES_GPU_SHAPE_RECORDER_H_
#define DDGAN_ENGINE_LANES_GPU_SHAPE_RECORDER_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "engine/lanes/gpu/gpu_lane.h"
#include "engine/lanes/gpu/recorded_step.h"
#include "engine/model/gpu_generator.h"
#include "engine/model/model.h"

namespace ddgan {

// Thread-compatible: one lane's. Throws what LibTorch throws.
class ShapeRecorder {
 public:
  // Images by which a shape is compared with the pinned one, at most.
  static constexpr int64_t kMostTestImages = 64;

  // Records the pinned shape. `model` is what `generator` was made from; all
  // but it outlive this, and `memory` is enough for the largest shape. Blocks
  // until the device is done.
  ShapeRecorder(const Model& model, const GpuGenerator& generator,
                const StepMemory& memory, GpuLane& lane);

  // Records and tries those shapes that a batch of `rows` may run as and that
  // were not tried before: up to the smallest that holds it. One that fails or
  // gives other bytes is never used; the lane's on_notice is told. Blocks until
  // the device is done.
  void Prepare(const Model& model, int rows);

  // The steps as which `rows` rows run, in order, so that they cost least; the
  // last may be larger than what is left. In [1, max_batch_size].
  void StepsFor(int rows, std::vector<RecordedStep*>* steps) const;

 private:
  // A batch shape, and what became of the attempt to record it.
  struct Shape {
    int rows = 0;
    bool tried = false;
    double cost = 0;
    std::unique_ptr<RecordedStep> step;  // Null: not to be used.
  };

  absl::Status Try(const Model& model, Shape& shape);
  void Record(Shape& shape, const RecordedStep* neighbour);
  // Leaves x0' and the next state of fixed noise, over all steps, [images, C, S,
  // S] each, and measures the shape's cost.
  void MakeTestImages(const Model& model, Shape& shape, at::Tensor* x0,
                      at::Tensor* x);
  void Choose();

  const GpuGenerator& generator_;
  const StepMemory& memory_;
  GpuLane& lane_;
  std::vector<Shape> shapes_;  // Ascending.
  // Of those that may be used, and the position that n rows run first as.
  std::vector<RecordedStep*> steps_;
  std::vector<int> first_step_;
  // Of the pinned shape.
  at::Tensor test_x0_;
  at::Tensor test_x_;
};

}  // namespace ddgan

#endif  // DDGAN_ENGINE_LANES_GPU_SHAPE_RECORDER_H_
