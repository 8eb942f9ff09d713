#include "engine/kernels/matrix_product.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/kernels/matrix_product.cc"
#include <hwy/foreach_target.h>
//
#include <hwy/highway.h>

#include <algorithm>

#include "engine/kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ddgan::kernels::HWY_NAMESPACE {

using PanelTag = hn::CappedTag<float, kPanelColumns>;
using PanelVector = hn::Vec<PanelTag>;
inline constexpr int kLanes = static_cast<int>(hn::MaxLanes(PanelTag()));
inline constexpr int kPanelVectors = static_cast<int>(kPanelColumns) / kLanes;

// What the registers hold: of 32 with 16 lanes 16 accumulators, else 12 of 16
// or 24 of 32, beside a row of weights and a value of the left side.
#if HWY_TARGET <= HWY_AVX3
inline constexpr int kTileRows = 8;
inline constexpr int kTilePanels = 2;
#else
inline constexpr int kTileRows = 6;
inline constexpr int kTilePanels = 1;
#endif

// What a tile is computed from, and where it goes.
struct Tile {
  const float* const* runs;  // Of the first row.
  int64_t taps;
  int64_t run;
  const float* panels;  // Of the first panel.
  int64_t panel_size;
  const float* start;  // Null, or of the first element.
  int64_t start_stride;
  float* c;
  int64_t c_stride;
};

template <int kRows, int kPanels>
HWY_INLINE void ComputeTile(const Tile& tile) {
  constexpr int kVectors = kPanels * kPanelVectors;
  const PanelTag d;
  PanelVector sums[kRows][kVectors];
#pragma GCC unroll 8
  for (int row = 0; row < kRows; ++row) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      sums[row][v] =
          tile.start == nullptr
              ? hn::Zero(d)
              : hn::LoadU(d, tile.start + row * tile.start_stride + v * kLanes);
    }
  }
  const float* b[kPanels];
#pragma GCC unroll 2
  for (int panel = 0; panel < kPanels; ++panel) {
    b[panel] = tile.panels + panel * tile.panel_size;
  }
  for (int64_t tap = 0; tap < tile.taps; ++tap) {
    const float* a[kRows];
#pragma GCC unroll 8
    for (int row = 0; row < kRows; ++row) {
      a[row] = tile.runs[row * tile.taps + tap];
    }
    for (int64_t k = 0; k < tile.run; ++k) {
      PanelVector weights[kVectors];
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) {
        weights[v] = hn::Load(d, b[v / kPanelVectors] + k * kPanelColumns +
                                     v % kPanelVectors * kLanes);
      }
#pragma GCC unroll 8
      for (int row = 0; row < kRows; ++row) {
        const PanelVector value = hn::Set(d, a[row][k]);
#pragma GCC unroll 8
        for (int v = 0; v < kVectors; ++v) {
          sums[row][v] = Fma(value, weights[v], sums[row][v]);
        }
      }
    }
#pragma GCC unroll 2
    for (int panel = 0; panel < kPanels; ++panel) {
      b[panel] += tile.run * kPanelColumns;
    }
  }
#pragma GCC unroll 8
  for (int row = 0; row < kRows; ++row) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      hn::StoreU(sums[row][v], d, tile.c + row * tile.c_stride + v * kLanes);
    }
  }
}

template <int kPanels>
HWY_INLINE void ComputeTiles(Tile tile, int64_t rows) {
  const auto advance = [&](int count) {
    tile.runs += count * tile.taps;
    if (tile.start != nullptr) tile.start += count * tile.start_stride;
    tile.c += count * tile.c_stride;
    rows -= count;
  };
  while (rows >= kTileRows) {
    ComputeTile<kTileRows, kPanels>(tile);
    advance(kTileRows);
  }
  if (rows >= 4) {
    ComputeTile<4, kPanels>(tile);
    advance(4);
  }
  if (rows >= 2) {
    ComputeTile<2, kPanels>(tile);
    advance(2);
  }
  if (rows >= 1) ComputeTile<1, kPanels>(tile);
}

// A panel that the last columns fill in part, by way of whole rows on the
// stack.
void ComputeNarrowPanel(const Tile& tile, int64_t rows, int64_t columns) {
  float whole[kTileRows * kPanelColumns];
  for (int64_t row = 0; row < rows; row += kTileRows) {
    const int64_t count = std::min<int64_t>(kTileRows, rows - row);
    for (int64_t i = 0; i < count; ++i) {
      for (int64_t j = 0; j < kPanelColumns; ++j) {
        whole[i * kPanelColumns + j] =
            tile.start != nullptr && j < columns
                ? tile.start[(row + i) * tile.start_stride + j]
                : 0.0f;
      }
    }
    Tile part = tile;
    part.runs += row * tile.taps;
    part.start = part.c = whole;
    part.start_stride = part.c_stride = kPanelColumns;
    ComputeTiles<1>(part, count);
    for (int64_t i = 0; i < count; ++i) {
      std::copy_n(whole + i * kPanelColumns, columns,
                  tile.c + (row + i) * tile.c_stride);
    }
  }
}

void MultiplyRowsImpl(const LeftRows& a, const PackedMatrix& b,
                      int64_t first_panel, int64_t last_panel,
                      const float* start, int64_t start_stride, float* c,
                      int64_t c_stride) {
  const int64_t panel_size = b.depth * kPanelColumns;
  const int64_t whole_panels = b.columns / kPanelColumns;
  int64_t panel = first_panel;
  const auto tile = [&] {
    const int64_t column = panel * kPanelColumns;
    return Tile{.runs = a.runs,
                .taps = a.taps,
                .run = a.run,
                .panels = b.panels + panel * panel_size,
                .panel_size = panel_size,
                .start = start == nullptr ? nullptr : start + column,
                .start_stride = start_stride,
                .c = c + column,
                .c_stride = c_stride};
  };
  const int64_t last_whole = std::min(last_panel, whole_panels);
  for (; panel + kTilePanels <= last_whole; panel += kTilePanels) {
    ComputeTiles<kTilePanels>(tile(), a.rows);
  }
  for (; panel < last_whole; ++panel) ComputeTiles<1>(tile(), a.rows);
  if (panel < last_panel) {
    ComputeNarrowPanel(tile(), a.rows,
                       b.columns - whole_panels * kPanelColumns);
  }
}

template <int kRows, int kPanels>
HWY_INLINE void OuterTile(const OuterProducts& all, int64_t row,
                          int64_t column) {
  constexpr int kVectors = kPanels * kPanelVectors;
  const PanelTag d;
  float* const c = all.c + row * all.c_stride + column;
  PanelVector sums[kRows][kVectors];
#pragma GCC unroll 8
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      sums[i][v] = hn::LoadU(d, c + i * all.c_stride + v * kLanes);
    }
  }
  const float* a = all.a + row;
  const float* b = all.b + column;
  for (int64_t k = 0; k < all.depth;
       ++k, a += all.a_stride, b += all.b_stride) {
    PanelVector values[kVectors];
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      values[v] = hn::LoadU(d, b + v * kLanes);
    }
#pragma GCC unroll 8
    for (int i = 0; i < kRows; ++i) {
      const PanelVector factor = hn::Set(d, a[i]);
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) {
        sums[i][v] = Fma(factor, values[v], sums[i][v]);
      }
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      hn::StoreU(sums[i][v], d, c + i * all.c_stride + v * kLanes);
    }
  }
}

template <int kPanels>
HWY_INLINE void OuterTiles(const OuterProducts& all, int64_t column) {
  int64_t row = 0;
  for (; row + kTileRows <= all.rows; row += kTileRows) {
    OuterTile<kTileRows, kPanels>(all, row, column);
  }
  if (row + 4 <= all.rows) {
    OuterTile<4, kPanels>(all, row, column);
    row += 4;
  }
  for (; row < all.rows; ++row) OuterTile<1, kPanels>(all, row, column);
}

void AddOuterProductsImpl(const OuterProducts& all) {
  constexpr int64_t kColumns = kTilePanels * kPanelColumns;
  int64_t column = 0;
  for (; column + kColumns <= all.columns; column += kColumns) {
    OuterTiles<kTilePanels>(all, column);
  }
  for (; column < all.columns; column += kPanelColumns) {
    OuterTiles<1>(all, column);
  }
}

}  // namespace ddgan::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ddgan::kernels {

HWY_EXPORT(MultiplyRowsImpl);
HWY_EXPORT(AddOuterProductsImpl);

void PackMatrix(const float* source, int64_t depth, int64_t columns,
                int64_t depth_stride, int64_t column_stride, float* packed) {
  for (int64_t first = 0; first < columns; first += kPanelColumns) {
    const int64_t width = std::min(kPanelColumns, columns - first);
    for (int64_t k = 0; k < depth; ++k, packed += kPanelColumns) {
      const float* from = source + k * depth_stride + first * column_stride;
      for (int64_t j = 0; j < width; ++j) packed[j] = from[j * column_stride];
      std::fill(packed + width, packed + kPanelColumns, 0.0f);
    }
  }
}

void PackFilters(const Filters& filters, float* packed) {
  for (int64_t first = 0; first < filters.out; first += kPanelColumns) {
    const int64_t width = std::min(kPanelColumns, filters.out - first);
    for (int tap = 0; tap < filters.taps; ++tap) {
      const float* from =
          filters.first + first * filters.out_stride + tap * filters.tap_stride;
      for (int64_t i = 0; i < filters.in;
           ++i, from += filters.in_stride, packed += kPanelColumns) {
        for (int64_t j = 0; j < width; ++j) {
          packed[j] = from[j * filters.out_stride];
        }
        std::fill(packed + width, packed + kPanelColumns, 0.0f);
      }
    }
  }
}

void AddOuterProducts(const OuterProducts& products) {
  HWY_DYNAMIC_DISPATCH(AddOuterProductsImpl)(products);
}

void MultiplyRows(const LeftRows& a, const PackedMatrix& b, int64_t first_panel,
                  int64_t last_panel, const float* start, int64_t start_stride,
                  float* c, int64_t c_stride) {
  HWY_DYNAMIC_DISPATCH(MultiplyRowsImpl)
  (a, b, first_panel, last_panel, start, start_stride, c, c_stride);
}

}  // namespace ddgan::kernels
#endif  // HWY_ONCE
