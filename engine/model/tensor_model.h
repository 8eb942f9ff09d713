// A model's generator as a tensor lane runs it: weights on the lane's device,
// in the lane's number format.
#ifndef DDGAN_ENGINE_MODEL_TENSOR_MODEL_H_
#define DDGAN_ENGINE_MODEL_TENSOR_MODEL_H_

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstdint>

#include "engine/model/generator.h"
#include "engine/model/model.h"
#include "engine/precision.h"

namespace ddgan {

// Immutable, thread-safe.
class TensorModel {
 public:
  // `model` has parameters(). They are copied, convolutions in channels_last;
  // on the CPU what is right already is shared. Does not keep `model`. Throws
  // c10::Error, c10::OutOfMemoryError if the device's memory runs out.
  TensorModel(const Model& model, c10::Device device, Precision precision);

  // x0' = G(x, t, z), [B, C, S, S], in the number format. x [B, C, S, S] and z
  // [B, nz] are float32, t [B] int64 in [0, T), all on the device. Copies
  // nothing between host and device. Throws c10::Error.
  at::Tensor Run(const at::Tensor& x, const at::Tensor& t,
                 const at::Tensor& z) const;

  // Device memory that the weights hold.
  int64_t bytes() const;

 private:
  const c10::ScalarType dtype_;
  const Generator generator_;
};

}  // namespace ddgan

#endif  // DDGAN_ENGINE_MODEL_TENSOR_MODEL_H_
