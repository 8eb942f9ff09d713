// 3x3 convolutions to few channels, such as a network's last, float32 NHWC.
// Here the lanes of a vector are pixels, not channels. No LibTorch.
// Thread-safe: pure functions.
#ifndef DDGAN_ENGINE_KERNELS_NARROW_CONVOLUTION_H_
#define DDGAN_ENGINE_KERNELS_NARROW_CONVOLUTION_H_

#include <cstdint>

namespace ddgan::kernels {

// Output rows of one call at most.
inline constexpr int64_t kNarrowRows = 8;

// One image's convolution of stride 1 and padding 1.
struct NarrowConvolution {
  const float* x = nullptr;  // [size, size, in]
  int64_t size = 0;
  int64_t in = 0;
  int64_t out = 0;
  // weights[k * weight_stride + o]: k counts taps, and channels within a tap.
  const float* weights = nullptr;
  int64_t weight_stride = 0;
  const float* bias = nullptr;  // [out]
  float* y = nullptr;           // [size, size, out]
};

// Floats that ConvolveNarrow needs in `scratch`.
int64_t NarrowScratch(int64_t size, int64_t in);

// Rows [first, last) of y, at most kNarrowRows. The same chains as
// MultiplyRows's.
void ConvolveNarrow(const NarrowConvolution& convolution, int64_t first,
                    int64_t last, float* scratch);

}  // namespace ddgan::kernels

#endif  // DDGAN_ENGINE_KERNELS_NARROW_CONVOLUTION_H_
