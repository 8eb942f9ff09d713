// The operators of generator and discriminator that LibTorch has no fast form
// of: FIR resampling and group normalisation with its activation. Each records
// autograd (FIR to any order, GroupNorm to first order). There are fused NHWC
// kernels for float32 on the CPU, and of FIR for float32 and bfloat16 on GPUs;
// everything else (double, say) runs on LibTorch's own operators. Thread-safe.
#ifndef DDGAN_ENGINE_MODEL_OPERATORS_H_
#define DDGAN_ENGINE_MODEL_OPERATORS_H_

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <vector>

#include "engine/model/nhwc_kernels.h"

namespace ddgan {

// A 4-tap filter k, normalised to sum 1; its 2-D form is outer(k, k).
class FirKernel {
 public:
  // `taps` as in ModelConfig::fir_kernel; their sum is not 0.
  explicit FirKernel(const std::vector<double>& taps);

  const std::array<double, 4>& taps() const { return taps_; }
  FirKernel Flipped() const;
  FirKernel Times(double factor) const;

 private:
  FirKernel() = default;
  std::array<double, 4> taps_;
};

// All take [B, C, H, W] and return channels_last where the input is so.
// Upsampling by 2 (up2 of MODEL.md 3.1): [B, C, 2H, 2W].
at::Tensor FirUpsample(const at::Tensor& x, const FirKernel& kernel);
// Downsampling by 2 (down2 of MODEL.md 3.1): [B, C, (H-2)/2+1, (W-2)/2+1].
at::Tensor FirDownsample(const at::Tensor& x, const FirKernel& kernel);
// Filter with padding 2, no decimation, as before a strided convolution
// (Conv-down of MODEL.md 3.1): [B, C, H+1, W+1].
at::Tensor FirSmooth(const at::Tensor& x, const FirKernel& kernel);

using NormActivation = nhwc::Activation;

// act(scale * norm(x) + shift): groups min(C/4, 32), eps 1e-6 (MODEL.md 3.1).
// scale and shift are [C] (affine) or [B, C] (adaptive).
at::Tensor GroupNormAct(const at::Tensor& x, const at::Tensor& scale,
                        const at::Tensor& shift, NormActivation activation);

inline constexpr double kInverseSqrt2 = 0.70710678118654752440;

// (a + b) / sqrt(2).
at::Tensor RescaledSum(const at::Tensor& a, const at::Tensor& b);

}  // namespace ddgan

#endif  // DDGAN_ENGINE_MODEL_OPERATORS_H_
