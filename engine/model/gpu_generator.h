// A model's generator as a GPU lane runs it: weights folded
// (folded_generator.h) and on the lane's device in the lane's number format,
// between the convolutions one pass over memory each (fused_operators.h).
#ifndef DDGAN_ENGINE_MODEL_GPU_GENERATOR_H_
#define DDGAN_ENGINE_MODEL_GPU_GENERATOR_H_

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstdint>

#include "engine/api/precision.h"
#include "engine/model/convolutions.h"
#include "engine/model/folded_generator.h"
#include "engine/model/model.h"

namespace ddgan {

// Immutable, thread-safe.
class GpuGenerator {
 public:
  // `model` has parameters(); they are copied. Does not keep `model`. Throws
  // c10::Error, c10::OutOfMemoryError if the device's memory runs out.
  GpuGenerator(const Model& model, c10::Device device, Precision precision);

  // x0' = G(x, t, z), [B, C, S, S] float32. x [B, C, S, S] and z [B, nz] are
  // float32, t [B] int64 in [0, T), all on the device. Copies nothing between
  // host and device, unless `convolutions` do. Throws c10::Error.
  at::Tensor Run(const at::Tensor& x, const at::Tensor& t, const at::Tensor& z,
                 Convolutions& convolutions) const;

  // Device memory that the weights hold.
  int64_t bytes() const { return bytes_; }

 private:
  class Modules;

  // z [B, nz] -> [B, sum]: FoldedGenerator's style_weight.
  at::Tensor Styles(const at::Tensor& z) const;

  const ModelConfig config_;
  const GeneratorPlan plan_;
  const FirKernel fir_;
  const c10::ScalarType dtype_;
  // On the device in the number format, convolutions channels_last; biases and
  // step_biases are float32, and a skip's bias is in its block's second one.
  FoldedGenerator weights_;
  int64_t bytes_ = 0;
};

}  // namespace ddgan

#endif  // DDGAN_ENGINE_MODEL_GPU_GENERATOR_H_
