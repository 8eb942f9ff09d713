#include "engine/kernels/convolution_gradient.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/kernels/convolution_gradient.cc"
#include <hwy/foreach_target.h>
//
#include <hwy/highway.h>

#include <algorithm>

#include "engine/kernels/simd-inl.h"
#include "engine/kernels/winograd.h"

HWY_BEFORE_NAMESPACE();
namespace ddgan::kernels::HWY_NAMESPACE {

void AddPixelsImpl(const float* x, int64_t pixels, int64_t channels,
                   float* sums) {
  ForEachVector(channels, [&](auto d, int64_t c) HWY_ATTR {
    using V = hn::Vec<decltype(d)>;
    V chains[4] = {hn::LoadU(d, sums + c), hn::Zero(d), hn::Zero(d),
                   hn::Zero(d)};
    const float* from = x + c;
    int64_t p = 0;
    for (; p + 4 <= pixels; p += 4) {
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i, from += channels) {
        chains[i] = hn::Add(chains[i], hn::LoadU(d, from));
      }
    }
    for (int i = 0; p < pixels; ++p, ++i, from += channels) {
      chains[i] = hn::Add(chains[i], hn::LoadU(d, from));
    }
    hn::StoreU(
        hn::Add(hn::Add(chains[0], chains[1]), hn::Add(chains[2], chains[3])),
        d, sums + c);
  });
}

}  // namespace ddgan::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ddgan::kernels {
namespace {

// Tiles that are transformed together: few enough for a core's own cache.
constexpr int64_t kChunkTiles = 32;

int64_t Padded(int64_t channels) { return PanelsOf(channels) * kPanelColumns; }

// No power of two, as in convolution.cc.
int64_t PositionStride(int64_t channels) { return kChunkTiles * channels + 16; }

// Whether the sums of a direct gradient are [tap, out, in] and not [tap, in,
// out]: whichever fills vectors better.
bool InputsAreColumns(const ConvolutionShape& shape) {
  return Padded(shape.in) * shape.out < Padded(shape.out) * shape.in;
}

int64_t ColumnsOf(const ConvolutionShape& shape) {
  return InputsAreColumns(shape) ? shape.in : shape.out;
}

}  // namespace

HWY_EXPORT(AddPixelsImpl);

void AddPixels(const float* x, int64_t pixels, int64_t channels, float* sums) {
  HWY_DYNAMIC_DISPATCH(AddPixelsImpl)(x, pixels, channels, sums);
}

ConvolutionShape AdjointShape(const ConvolutionShape& shape) {
  ConvolutionShape adjoint = shape;
  std::swap(adjoint.in, adjoint.out);
  return adjoint;
}

Filters AdjointFilters(const ConvolutionShape& shape, const float* weight) {
  const int taps = shape.kernel * shape.kernel;
  return {weight + taps - 1, shape.out, shape.in, taps,
          taps * shape.in,   taps,      -1};
}

WeightGradient::WeightGradient(const ConvolutionShape& shape,
                               ConvolutionMethod method)
    : shape_(shape), method_(method) {
  if (method == ConvolutionMethod::kDirect) return;
  const int64_t row = (TileOf(method) + 2) * shape.in;
  zeros_ = NewFloatBuffer(row);
  std::fill_n(zeros_.get(), row, 0.0f);
}

int64_t WeightGradient::sums_count() const {
  if (method_ == ConvolutionMethod::kDirect) {
    const int64_t rows = InputsAreColumns(shape_) ? shape_.out : shape_.in;
    return shape_.kernel * shape_.kernel * rows * Padded(ColumnsOf(shape_));
  }
  const int64_t e = TileOf(method_) + 2;
  return e * e * shape_.in * Padded(shape_.out);
}

int64_t WeightGradient::scratch_count() const {
  if (method_ == ConvolutionMethod::kDirect) {
    const int64_t columns = ColumnsOf(shape_);
    return columns == Padded(columns)
               ? 0
               : shape_.size * shape_.size * Padded(columns);
  }
  const int64_t e = TileOf(method_) + 2;
  return e * e *
         (PositionStride(shape_.in) + PositionStride(Padded(shape_.out)));
}

void WeightGradient::Add(const float* x, const float* dy, int64_t images,
                         float* sums, float* scratch) const {
  if (method_ == ConvolutionMethod::kDirect) {
    AddDirect(x, dy, images, sums, scratch);
  } else {
    AddWinograd(x, dy, images, sums, scratch);
  }
}

void WeightGradient::AddDirect(const float* x, const float* dy, int64_t images,
                               float* sums, float* scratch) const {
  const bool swapped = InputsAreColumns(shape_);
  const int64_t size = shape_.size, pixels = size * size;
  const int64_t rows = swapped ? shape_.out : shape_.in;
  const int64_t columns = ColumnsOf(shape_), padded = Padded(columns);
  const int kernel = shape_.kernel;
  for (int64_t image = 0; image < images; ++image) {
    const float* a = (swapped ? dy : x) + image * pixels * rows;
    const float* b = (swapped ? x : dy) + image * pixels * columns;
    if (padded != columns) {
      for (int64_t p = 0; p < pixels; ++p) {
        std::copy_n(b + p * columns, columns, scratch + p * padded);
        std::fill_n(scratch + p * padded + columns, padded - columns, 0.0f);
      }
      b = scratch;
    }
    for (int tap = 0; tap < kernel * kernel; ++tap) {
      // Output pixel (row, column) reads input pixel (row + down, column +
      // right), where there is one.
      const int64_t down = tap / kernel - shape_.padding;
      const int64_t right = tap % kernel - shape_.padding;
      const int64_t left = std::max<int64_t>(0, -right);
      OuterProducts products = {.a_stride = rows,
                                .b_stride = padded,
                                .depth = size - std::abs(right),
                                .rows = rows,
                                .columns = padded,
                                .c = sums + tap * rows * padded,
                                .c_stride = padded};
      const auto add = [&](int64_t row) {
        const int64_t out = row * size + left;
        const int64_t in = out + down * size + right;
        products.a = a + (swapped ? out : in) * rows;
        products.b = b + (swapped ? in : out) * padded;
        AddOuterProducts(products);
      };
      if (kernel == 1) {
        products.depth = pixels;
        add(0);
        continue;
      }
      const int64_t last = std::min(size, size - down);
      for (int64_t row = std::max<int64_t>(0, -down); row < last; ++row) {
        add(row);
      }
    }
  }
}

void WeightGradient::AddWinograd(const float* x, const float* dy,
                                 int64_t images, float* sums,
                                 float* scratch) const {
  const int64_t in = shape_.in, out = shape_.out, size = shape_.size;
  const int64_t padded = Padded(out);
  const int m = TileOf(method_), positions = (m + 2) * (m + 2);
  const int64_t side = size / m, tiles_per_image = side * side;
  const int64_t in_stride = PositionStride(in);
  const int64_t out_stride = PositionStride(padded);
  float* const inputs = scratch;                             // [q, tile, in]
  float* const gradients = scratch + positions * in_stride;  // [q, tile, out]
  const int64_t all = images * tiles_per_image;
  for (int64_t first = 0; first < all; first += kChunkTiles) {
    const int64_t tiles = std::min(kChunkTiles, all - first);
    for (int64_t i = 0; i < tiles; ++i) {
      const int64_t image = (first + i) / tiles_per_image;
      const int64_t tile = (first + i) % tiles_per_image;
      TransformInput(m, x + image * size * size * in, size, in, zeros_.get(),
                     tile / side, tile % side, inputs + i * in, in_stride);
      float* const to = gradients + i * padded;
      TransformOutputGradient(m, dy + image * size * size * out, size, out,
                              tile / side, tile % side, to, out_stride);
      for (int q = 0; q < positions && padded != out; ++q) {
        std::fill_n(to + q * out_stride + out, padded - out, 0.0f);
      }
    }
    for (int q = 0; q < positions; ++q) {
      AddOuterProducts({.a = inputs + q * in_stride,
                        .a_stride = in,
                        .b = gradients + q * out_stride,
                        .b_stride = padded,
                        .depth = tiles,
                        .rows = in,
                        .columns = padded,
                        .c = sums + q * in * padded,
                        .c_stride = padded});
    }
  }
}

void WeightGradient::Finish(const float* sums, float* gradient) const {
  const int64_t in = shape_.in, out = shape_.out;
  if (method_ != ConvolutionMethod::kDirect) {
    TransformFilterGradients(TileOf(method_), sums, Padded(out),
                             in * Padded(out), in, out, gradient);
    return;
  }
  const bool swapped = InputsAreColumns(shape_);
  const int taps = shape_.kernel * shape_.kernel;
  const int64_t padded = Padded(ColumnsOf(shape_));
  for (int tap = 0; tap < taps; ++tap) {
    for (int64_t o = 0; o < out; ++o) {
      for (int64_t i = 0; i < in; ++i) {
        gradient[(o * in + i) * taps + tap] =
            swapped ? sums[(tap * out + o) * padded + i]
                    : sums[(tap * in + i) * padded + o];
      }
    }
  }
}

}  // namespace ddgan::kernels
#endif  // HWY_ONCE
