// CUDA kernels of what lies between a serving generator's convolutions:
// fused_operators.h on GPUs. group_norm_gpu.cu and add_bias_gpu.cu implement
// them, or no_gpu.cc in a build without CUDA.
//
// Images are [batch, pixels, channels], contiguous, float32 or bfloat16 on the
// current GPU; sums are float32. All enqueue on LibTorch's current stream and
// throw c10::Error if the launch fails or this build has no CUDA. No value
// depends on another image of the batch or on how many there are: how an image
// is cut up among threads follows from its own size alone.
#ifndef DDGAN_ENGINE_MODEL_FUSED_GPU_H_
#define DDGAN_ENGINE_MODEL_FUSED_GPU_H_

#include <c10/util/BFloat16.h>

#include <cstdint>

namespace ddgan {

struct GroupNormPass {
  int64_t batch;
  int64_t pixels;
  int channels;
  int groups;  // Divides channels.
  // Added to image b before the norm: offsets[t[b] * offset_stride + channel].
  // Null: nothing.
  const float* offsets;
  int64_t offset_stride;
  const int64_t* t;
  // Elements from one image's scale and shift to the next one's; 0: all images
  // have the same.
  int64_t scale_stride;
  int64_t shift_stride;
  bool silu;
};

// Floats that GroupNormGpu needs to work in.
int64_t GroupNormWorkspace(const GroupNormPass& pass);

// y = act(scale * norm(x + offset) + shift); see nhwc::GroupNorm. y is not
// x.
void GroupNormGpu(const GroupNormPass& pass, const float* x, const float* scale,
                  const float* shift, float* workspace, float* y);
void GroupNormGpu(const GroupNormPass& pass, const c10::BFloat16* x,
                  const c10::BFloat16* scale, const c10::BFloat16* shift,
                  float* workspace, c10::BFloat16* y);

struct AddBiasPass {
  int64_t batch;
  int64_t pixels;
  int channels;
  float factor;
};

// x = (x + other + bias[channel]) * factor. `other` may be null.
void AddBiasGpu(const AddBiasPass& pass, float* x, const float* other,
                const float* bias);
void AddBiasGpu(const AddBiasPass& pass, c10::BFloat16* x,
                const c10::BFloat16* other, const float* bias);

}  // namespace ddgan

#endif  // DDGAN_ENGINE_MODEL_FUSED_GPU_H_
