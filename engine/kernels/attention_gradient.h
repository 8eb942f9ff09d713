// The gradient of attention (attention.h), for training. No LibTorch.
// Thread-safe: pure functions, on the caller's thread alone.
#ifndef DDGAN_ENGINE_KERNELS_ATTENTION_GRADIENT_H_
#define DDGAN_ENGINE_KERNELS_ATTENTION_GRADIENT_H_

#include <cstdint>

namespace ddgan::kernels {

// Channels must be a multiple of this.
inline constexpr int64_t kAttentionGradientChannels = 16;

// Floats that AttendBackward needs in `scratch`.
int64_t AttentionGradientScratch(int64_t pixels, int64_t channels);

// The gradient of one image's qkv, [pixels, 3 channels], from its y = Attend
// and the gradient of that. `scratch` is aligned as a FloatBuffer.
void AttendBackward(const float* qkv, const float* y, const float* dy,
                    int64_t pixels, int64_t channels, float* dqkv,
                    float* scratch);

}  // namespace ddgan::kernels

#endif  // DDGAN_ENGINE_KERNELS_ATTENTION_GRADIENT_H_
