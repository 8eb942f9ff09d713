// Neighbouring channels of one pixel, as a GPU thread reads and writes them at
// once. Plain C++17, so that nvcc can read it.
#ifndef DDGAN_ENGINE_MODEL_CHANNEL_VECTOR_H_
#define DDGAN_ENGINE_MODEL_CHANNEL_VECTOR_H_

namespace ddgan {

template <typename T, int kWidth>
struct alignas(sizeof(T) * kWidth) ChannelVector {
  T values[kWidth];
};

// The widest that a GPU reads at once: 16 bytes.
template <typename T>
constexpr int kWidestChannelVector = 16 / sizeof(T);

}  // namespace ddgan

#endif  // DDGAN_ENGINE_MODEL_CHANNEL_VECTOR_H_
