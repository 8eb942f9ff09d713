// Single-head attention over all pixels of an image (MODEL.md 3.1), float32. No
// LibTorch.
#ifndef DDGAN_ENGINE_KERNELS_ATTENTION_H_
#define DDGAN_ENGINE_KERNELS_ATTENTION_H_

#include <cstdint>

#include "engine/kernels/thread_pool.h"

namespace ddgan::kernels {

// x[j] = e^(x[j] - max x) / their sum. The sum has 16 chains (j mod 16), joined
// in a fixed tree. count >= 1.
void Softmax(float* x, int64_t count);

// Floats that Attend needs in `scratch`.
int64_t AttentionScratch(int64_t images, int64_t pixels, int64_t channels);

// y = softmax(q k^T) v of each image. qkv: images of [pixels, 3 channels], a
// pixel's query, key and value one after the other, the query scaled already;
// y: of [pixels, channels]. `scratch` is aligned as a FloatBuffer.
void Attend(const float* qkv, int64_t images, int64_t pixels, int64_t channels,
            float* y, float* scratch, ThreadPool& threads);

}  // namespace ddgan::kernels

#endif  // DDGAN_ENGINE_KERNELS_ATTENTION_H_
