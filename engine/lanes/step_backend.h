// What a lane's runner asks of its device: a model's weights there, memory for
// images in flight, and one denoising step of a batch. engine/lanes/cpu and
// engine/lanes/gpu implement it. No LibTorch in this header.
#ifndef DDGAN_ENGINE_LANES_STEP_BACKEND_H_
#define DDGAN_ENGINE_LANES_STEP_BACKEND_H_

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "engine/api/generation.h"
#include "engine/base/pixel_buffer.h"

namespace ddgan {

class Model;  // engine/model/model.h

// The memory of one image in flight, float32 [C, S, S], on the device. A number
// that the DeviceModel which gave it out understands.
using ImageSlot = int;
inline constexpr ImageSlot kNoSlot = -1;

// One row of a batch, as a backend computes it.
struct BackendRow {
  uint64_t seed = 0;
  uint32_t image_index = 0;
  int step = 0;  // As StepRow's.
  // Where the state comes from: diffused from `guide` (host memory, [C, S, S])
  // if that is set, else read from `from`, else drawn: it is x_T then.
  const float* guide = nullptr;
  ImageSlot from = kNoSlot;
  // Receives the state that follows if set. Never the slot that `from` names.
  ImageSlot to = kNoSlot;
  // Host memory that receives that state and x0' if set: planes [C, S, S] of
  // float32, aligned for them, or 8-bit rows [S, S, C], as `pixel_format` says.
  PixelFormat pixel_format = PixelFormat::kUint8;
  uint8_t* image = nullptr;
  uint8_t* preview = nullptr;
  // Written by the step: the state that follows has an infinity or a NaN, as it
  // has wherever x0' has one. What the row received is of no use then.
  bool not_finite = false;
};

// A model on a lane's device, and the memory of its images in flight.
// Thread-compatible: one lane's. Methods may throw what LibTorch throws, and
// std::bad_alloc; they have changed nothing then.
class DeviceModel {
 public:
  // `evaluations`: of the network for one image, >= 1.
  DeviceModel(ImageShape shape, int evaluations)
      : shape_(shape), evaluations_(evaluations) {}
  virtual ~DeviceModel() = default;

  ImageShape shape() const { return shape_; }
  int evaluations() const { return evaluations_; }

  // Memory for one more image. The content is unspecified.
  virtual ImageSlot TakeSlot() = 0;
  // `slot` came from TakeSlot; kNoSlot is ignored. Needs no memory.
  virtual void GiveSlot(ImageSlot slot) noexcept = 0;

  // Runs one denoising step for every row and blocks until the device is done.
  // `model` is the one that was loaded. Returns the time that the device took.
  // A row's results depend on no other row. After an error, what the rows were
  // to receive is unspecified, and all else is as before.
  virtual absl::StatusOr<absl::Duration> Step(const Model& model,
                                              absl::Span<BackendRow> rows) = 0;

  // Device memory that the weights, the slots and the step hold.
  virtual int64_t bytes() const = 0;

 private:
  const ImageShape shape_;
  const int evaluations_;
};

// A lane's device. Outlives the DeviceModels that it made. Thread-compatible;
// may throw as DeviceModel's methods do.
class StepBackend {
 public:
  virtual ~StepBackend() = default;

  // Brings the weights to the device. Does not keep `model`.
  //   Internal  `model` was loaded for another kind of lane
  virtual absl::StatusOr<std::unique_ptr<DeviceModel>> Load(
      const Model& model) = 0;

  // Where the host memory of pictures that leave the lane comes from.
  virtual PixelPool& pixel_pool() = 0;

  // Device memory that lies ready for images of any model.
  virtual int64_t spare_bytes() const = 0;
};

}  // namespace ddgan

#endif  // DDGAN_ENGINE_LANES_STEP_BACKEND_H_
