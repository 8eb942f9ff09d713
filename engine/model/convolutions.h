// The convolutions of a serving generator, as a GPU lane runs them.
#ifndef DDGAN_ENGINE_MODEL_CONVOLUTIONS_H_
#define DDGAN_ENGINE_MODEL_CONVOLUTIONS_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>

#include "engine/api/precision.h"

namespace ddgan {

// Thread-compatible: one lane's.
class Convolutions {
 public:
  virtual ~Convolutions() = default;

  // x [N, C, H, W] with weight [O, C, K, K], both channels_last and of one
  // dtype: [N, O, H', W'], channels_last. Without autograd. Throws c10::Error.
  virtual at::Tensor Run(const at::Tensor& x, const at::Tensor& weight,
                         int64_t stride, int64_t padding) = 0;
};

// LibTorch's, on any device. What it computes may depend on N in the last
// digits.
std::unique_ptr<Convolutions> NewLibTorchConvolutions();

// cuDNN's, on the GPU that is current in Run, float32 or bfloat16. An image's
// bytes do not depend on N: of each shape the first N decides the engine, as
// cuDNN's heuristics rank them; another N uses the engine that ranks highest
// there among those whose bytes a check on random images finds equal to the
// first's, or that first one. The choice does not depend on time or load. A new
// shape or N blocks until the device has done the check, and must not be
// recorded in a CUDA graph.
std::unique_ptr<Convolutions> NewCudnnConvolutions(Precision precision);

}  // namespace ddgan

#endif  // DDGAN_ENGINE_MODEL_CONVOLUTIONS_H_
