// A separable 4-tap filter over NHWC images, a few neighbouring channels of one
// output pixel at a time: what each thread of the CUDA kernel does, compiled
// for the CPU too, where it is tested against nhwc_kernels.h. Plain C++17, so
// that nvcc can read it.
#ifndef DDGAN_ENGINE_MODEL_FIR_PASS_H_
#define DDGAN_ENGINE_MODEL_FIR_PASS_H_

#include <cstdint>

#include "engine/base/host_device.h"
#include "engine/model/channel_vector.h"

namespace ddgan {

// FirDown, FirUp and FirFilter of nhwc_kernels.h.
enum class FirMode { kDown, kUp, kFilter };

struct FirPass {
  FirMode mode;
  float taps[4];
  int pad;  // kFilter only
  int64_t batch;
  int height;  // Of the input. An image has fewer than 2^31 values.
  int width;
  int channels;
  int out_height;
  int out_width;
};

// The input position that tap j reads for output position `out`, in one
// direction; -1 if it reads nothing.
DDGAN_HOST_DEVICE inline int FirSource(const FirPass& pass, int out, int j,
                                       int size) {
  int in = 0;
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

// Output (y, x) of the channels [channel, channel + kWidth) of the image
// [height, width, channels] at `in`. kWidth divides `channel` and channels, and
// `in` is aligned for a ChannelVector of that width.
template <typename T, int kWidth>
DDGAN_HOST_DEVICE inline ChannelVector<T, kWidth> FirValues(const FirPass& pass,
                                                            const T* in, int y,
                                                            int x,
                                                            int channel) {
  float sum[kWidth] = {};
  for (int j = 0; j < 4; ++j) {
    const int row = FirSource(pass, y, j, pass.height);
    if (row < 0) continue;
    float line[kWidth] = {};
    for (int k = 0; k < 4; ++k) {
      const int column = FirSource(pass, x, k, pass.width);
      if (column < 0) continue;
      const auto from = *reinterpret_cast<const ChannelVector<T, kWidth>*>(
          in + (row * pass.width + column) * pass.channels + channel);
      for (int v = 0; v < kWidth; ++v) {
        line[v] += pass.taps[k] * static_cast<float>(from.values[v]);
      }
    }
    for (int v = 0; v < kWidth; ++v) sum[v] += pass.taps[j] * line[v];
  }
  ChannelVector<T, kWidth> out;
  for (int v = 0; v < kWidth; ++v) out.values[v] = static_cast<T>(sum[v]);
  return out;
}

}  // namespace ddgan

#endif  // DDGAN_ENGINE_MODEL_FIR_PASS_H_
