// Convolutions of images, float32 NHWC. No LibTorch.
//
// A 3x3 convolution is computed directly, or by Winograd's minimal filtering of
// 2x2 or 4x4 output pixels at a time (Lavin and Gray, CVPR 2016), which
// multiplies 2.25 or 4 times less and has 1.8 or 4 times the weights. Which, is
// a function of the network's shape alone: it decides the bytes of the result.
#ifndef DDGAN_ENGINE_KERNELS_CONVOLUTION_H_
#define DDGAN_ENGINE_KERNELS_CONVOLUTION_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "engine/kernels/float_buffer.h"
#include "engine/kernels/matrix_product.h"
#include "engine/kernels/thread_pool.h"

namespace ddgan::kernels {

struct ConvolutionShape {
  int64_t in = 0;    // Channels.
  int64_t out = 0;   // Channels.
  int64_t size = 0;  // Height and width of the input.
  int kernel = 3;    // 1 or 3
  int stride = 1;
  int padding = 1;

  int64_t out_size() const {
    return (size + 2 * padding - kernel) / stride + 1;
  }
};

enum class ConvolutionMethod { kDirect, kWinograd2x2, kWinograd4x4 };

// Pixels of a side of a Winograd method's tile.
int TileOf(ConvolutionMethod method);

// Packed weights that a core's second-level cache keeps beside the images.
inline constexpr int64_t kResidentWeights = 64 * 1024;

// `weight` is [out, in, kernel, kernel]. Does not copy it.
Filters FiltersOf(const ConvolutionShape& shape, const float* weight);

// Floats that the packed weights take.
int64_t PackedWeights(const ConvolutionShape& shape, ConvolutionMethod method);

// How each convolution of a network is to be computed: where most
// multiplications are saved per additional float of weights first, as long as
// all weights together stay within `max_weights` floats. A function of its
// arguments alone.
std::vector<ConvolutionMethod> ChooseMethods(
    absl::Span<const ConvolutionShape> shapes, int64_t max_weights);

// Immutable, thread-safe.
class Convolution {
 public:
  // Packs the filters; does not keep them. The method must suit the shape:
  // Winograd's need a 3x3 kernel of stride 1 and padding 1, and a size that the
  // tile divides. Throws std::bad_alloc.
  Convolution(const ConvolutionShape& shape, ConvolutionMethod method,
              const Filters& filters);

  const ConvolutionShape& shape() const { return shape_; }
  // Floats of the packed weights.
  int64_t weight_count() const { return weight_count_; }
  // Floats that Run needs in `scratch` for any number of images.
  int64_t scratch_count(int threads) const;

  // y = convolution of x plus bias. x: images of [size, size, in], y: of
  // [out_size, out_size, out]; biases[i]: [out] of image i. `scratch` is
  // aligned as a FloatBuffer. Each image's result depends on nothing but its
  // own.
  void Run(const float* x, int64_t images, const float* const* biases, float* y,
           float* scratch, ThreadPool& threads) const;

 private:
  // Tiles that a thread takes through Winograd's stages at once.
  int64_t BlockTiles() const;
  void RunDirect(const float* x, int64_t images, const float* const* biases,
                 float* y, ThreadPool& threads) const;
  void RunNarrow(const float* x, int64_t images, const float* const* biases,
                 float* y, float* scratch, ThreadPool& threads) const;
  void RunWinograd(const float* x, int64_t images, const float* const* biases,
                   float* y, float* scratch, ThreadPool& threads) const;

  const ConvolutionShape shape_;
  const ConvolutionMethod method_;
  const int64_t weight_count_;
  FloatBuffer weights_;  // Packed matrices: one, or one per Winograd position.
  FloatBuffer zeros_;    // What pixels beyond the edge are.
};

}  // namespace ddgan::kernels

#endif  // DDGAN_ENGINE_KERNELS_CONVOLUTION_H_
