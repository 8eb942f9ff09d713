// The product of matrices that convolutions, attention and linear layers are
// made of. No LibTorch. Thread-safe: pure functions.
//
// One output, one chain: c[i][j] = (...((start + a[i][0] b[0][j]) + a[i][1]
// b[1][j]) + ...), each step a fused multiply-add, in this order, whatever the
// processor and however the work is cut.
#ifndef DDGAN_ENGINE_KERNELS_MATRIX_PRODUCT_H_
#define DDGAN_ENGINE_KERNELS_MATRIX_PRODUCT_H_

#include <cstdint>

#include "engine/kernels/float_buffer.h"

namespace ddgan::kernels {

// Columns that lie side by side in a packed matrix.
inline constexpr int64_t kPanelColumns = 16;

inline int64_t PanelsOf(int64_t columns) {
  return (columns + kPanelColumns - 1) / kPanelColumns;
}

// The right-hand matrix [depth, columns] as a product reads it: panels of
// kPanelColumns columns, in each the rows one after the other; the last panel
// is filled with zeros. Whoever made it owns the memory.
struct PackedMatrix {
  const float* panels = nullptr;  // [PanelsOf(columns), depth, kPanelColumns]
  int64_t depth = 0;
  int64_t columns = 0;
};

inline int64_t PackedSize(int64_t depth, int64_t columns) {
  return PanelsOf(columns) * depth * kPanelColumns;
}

// Writes PackedSize floats: element (k, j) is
// source[k * depth_stride + j * column_stride].
void PackMatrix(const float* source, int64_t depth, int64_t columns,
                int64_t depth_stride, int64_t column_stride, float* packed);

// The filters of a convolution where they lie: that of input i, output o and
// tap is first[i * in_stride + o * out_stride + tap * tap_stride].
struct Filters {
  const float* first = nullptr;
  int64_t in = 0;
  int64_t out = 0;
  int taps = 0;
  int64_t in_stride = 0;
  int64_t out_stride = 0;
  int64_t tap_stride = 0;
};

// Writes PackedSize(taps * in, out) floats: the matrix of a direct convolution,
// whose row tap * in + i has the weights of all outputs.
void PackFilters(const Filters& filters, float* packed);

// The left-hand rows: row i is the `taps` runs of `run` floats at rows[i *
// taps], rows[i * taps + 1], ..., so depth = taps * run. A plain row is one
// run; a pixel of a 3x3 convolution is nine.
struct LeftRows {
  const float* const* runs = nullptr;
  int64_t rows = 0;
  int64_t taps = 1;
  int64_t run = 0;
};

// c[i][j] for the rows of `a` and the columns of panels [first, last) of `b`.
// Rows of c are `c_stride` apart, and c points at column 0 of the whole
// product. A chain starts at start[i * start_stride + j] (stride 0: a bias for
// all rows), or at 0 if start is null. start may be c. Nothing beyond the last
// column is read or written.
void MultiplyRows(const LeftRows& a, const PackedMatrix& b, int64_t first_panel,
                  int64_t last_panel, const float* start, int64_t start_stride,
                  float* c, int64_t c_stride);

// c[i][j] += a[0][i] b[0][j] + a[1][i] b[1][j] + ..., from c on one chain as
// above, for i < rows and j < columns, a multiple of kPanelColumns. Rows of a,
// b and c are their strides apart.
struct OuterProducts {
  const float* a = nullptr;
  int64_t a_stride = 0;
  const float* b = nullptr;
  int64_t b_stride = 0;
  int64_t depth = 0;
  int64_t rows = 0;
  int64_t columns = 0;
  float* c = nullptr;
  int64_t c_stride = 0;
};
void AddOuterProducts(const OuterProducts& products);

}  // namespace ddgan::kernels

#endif  // DDGAN_ENGINE_KERNELS_MATRIX_PRODUCT_H_
