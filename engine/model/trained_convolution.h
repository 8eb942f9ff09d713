// The convolutions of networks that are trained. On a CPU those in float32 run
// on the kernels of engine/kernels, unless filters are many and images small.
// The others are LibTorch's.
#ifndef DDGAN_ENGINE_MODEL_TRAINED_CONVOLUTION_H_
#define DDGAN_ENGINE_MODEL_TRAINED_CONVOLUTION_H_

#include <ATen/core/Tensor.h>

namespace ddgan {

// x [B, C, H, W] with weight [O, C, K, K], K = 1 or 3, and zeros around the
// image, so that y [B, O, H, W] is as large. `bias`: undefined, [O], or [B, O]
// of each image's own. Has gradients of any order. The bytes may depend on the
// number of threads where LibTorch's serve. Thread-safe. Throws c10::Error on
// shapes that do not fit.
at::Tensor SameConvolution(const at::Tensor& x, const at::Tensor& weight,
                           const at::Tensor& bias = {});

}  // namespace ddgan

#endif  // DDGAN_ENGINE_MODEL_TRAINED_CONVOLUTION_H_
