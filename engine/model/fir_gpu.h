// The CUDA kernel of fir_pass.h. fir_gpu.cu implements it, or no_gpu.cc in
// a build without CUDA.
#ifndef DDGAN_ENGINE_MODEL_FIR_GPU_H_
#define DDGAN_ENGINE_MODEL_FIR_GPU_H_

#include <c10/util/BFloat16.h>

#include "engine/model/fir_pass.h"

namespace ddgan {

// Enqueues on LibTorch's current stream: images [batch, height, width,
// channels] at `in` to [batch, out_height, out_width, channels] at `out`, both
// on the current GPU. Sums are float32. Throws c10::Error if the launch fails
// or this build has no CUDA.
void FirGpu(const FirPass& pass, const float* in, float* out);
void FirGpu(const FirPass& pass, const c10::BFloat16* in, c10::BFloat16* out);

}  // namespace ddgan

#endif  // DDGAN_ENGINE_MODEL_FIR_GPU_H_
