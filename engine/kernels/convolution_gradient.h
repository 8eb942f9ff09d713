// The gradient of a convolution by its weights, for training: float32 NHWC. No
// LibTorch. Thread-safe: pure functions, each on the caller's thread alone.
//
// The images of a batch may be shared out: each part adds to sums of its own,
// and all sums together give the gradient. Which images are a part decides its
// bytes; which thread computes a part does not. (The gradient by the input is a
// Convolution: by the filters turned by half a turn, inputs and outputs
// swapped.)
#ifndef DDGAN_ENGINE_KERNELS_CONVOLUTION_GRADIENT_H_
#define DDGAN_ENGINE_KERNELS_CONVOLUTION_GRADIENT_H_

#include <cstdint>

#include "engine/kernels/convolution.h"
#include "engine/kernels/float_buffer.h"

namespace ddgan::kernels {

// The filters by which the gradient of the output becomes that of the input,
// where `shape` has a stride of 1 and its output the size of its input.
// `weight` is that of the forward convolution. Does not copy it.
ConvolutionShape AdjointShape(const ConvolutionShape& shape);
Filters AdjointFilters(const ConvolutionShape& shape, const float* weight);

// By direct sums, or in the domain of Winograd's tiles (see convolution.h). The
// shape has a stride of 1, and its output the size of its input.
class WeightGradient {
 public:
  // Throws std::bad_alloc.
  WeightGradient(const ConvolutionShape& shape, ConvolutionMethod method);

  // Floats of one part's sums, and of `scratch`, which is aligned as a
  // FloatBuffer.
  int64_t sums_count() const;
  int64_t scratch_count() const;

  // Adds what `images` images contribute, each with its input and the gradient
  // of its output. The sums are all zero at first.
  void Add(const float* x, const float* dy, int64_t images, float* sums,
           float* scratch) const;
  // To [out, in, kernel, kernel].
  void Finish(const float* sums, float* gradient) const;

 private:
  void AddDirect(const float* x, const float* dy, int64_t images, float* sums,
                 float* scratch) const;
  void AddWinograd(const float* x, const float* dy, int64_t images, float* sums,
                   float* scratch) const;

  const ConvolutionShape shape_;
  const ConvolutionMethod method_;
  FloatBuffer zeros_;  // Of Winograd: what a tile's row beyond the edge is.
};

// sums[c] += each pixel's value of channel c.
void AddPixels(const float* x, int64_t pixels, int64_t channels, float* sums);

}  // namespace ddgan::kernels

#endif  // DDGAN_ENGINE_KERNELS_CONVOLUTION_GRADIENT_H_
