// A separable 4-tap filter over NHWC images, one output value at a time: what
// each thread of the CUDA kernel does, compiled for the CPU too, where it is
// tested against nhwc_kernels.h. Plain C++17, so that nvcc can read it.
#ifndef DDGAN_ENGINE_MODEL_FIR_PASS_H_
#define DDGAN_ENGINE_MODEL_FIR_PASS_H_

#include <cstdint>

#include "engine/host_device.h"

namespace ddgan {

// FirDown, FirUp and FirFilter of nhwc_kernels.h.
enum class FirMode { kDown, kUp, kFilter };

struct FirPass {
  FirMode mode;
  float taps[4];
  int64_t pad;  // kFilter only
  int64_t batch;
  int64_t height;  // Of the input.
  int64_t width;
  int64_t channels;
  int64_t out_height;
  int64_t out_width;
};

// The input position that tap j reads for output position `out`, in one
// direction; -1 if it reads nothing.
DDGAN_HOST_DEVICE inline int64_t FirSource(const FirPass& pass, int64_t out,
                                           int64_t j, int64_t size) {
  int64_t in = 0;
  switch (pass.mode) {
    case FirMode::kDown:
      in = 2 * out + j - 1;
      break;
    case FirMode::kUp:  // out = 2 in + j - 1
      if ((out + 1 - j) % 2 != 0) return -1;
      in = (out + 1 - j) / 2;
      break;
    case FirMode::kFilter:
      in = out + j - pass.pad;
      break;
  }
  return in >= 0 && in < size ? in : -1;
}

// Output value (y, x, channel) of the image [height, width, channels] at `in`.
template <typename T>
DDGAN_HOST_DEVICE inline float FirValue(const FirPass& pass, const T* in,
                                        int64_t y, int64_t x, int64_t channel) {
  float sum = 0;
  for (int64_t j = 0; j < 4; ++j) {
    const int64_t row = FirSource(pass, y, j, pass.height);
    if (row < 0) continue;
    float line = 0;
    for (int64_t k = 0; k < 4; ++k) {
      const int64_t column = FirSource(pass, x, k, pass.width);
      if (column < 0) continue;
      line += pass.taps[k] *
              static_cast<float>(
                  in[(row * pass.width + column) * pass.channels + channel]);
    }
    sum += pass.taps[j] * line;
  }
  return sum;
}

}  // namespace ddgan

#endif  // DDGAN_ENGINE_MODEL_FIR_PASS_H_
