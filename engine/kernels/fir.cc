#include "engine/kernels/fir.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/kernels/fir.cc"
#include <hwy/foreach_target.h>
//
#include <hwy/highway.h>

#include <algorithm>

#include "engine/kernels/simd-inl.h"

#ifndef DDGAN_ENGINE_KERNELS_FIR_ONCE_
#define DDGAN_ENGINE_KERNELS_FIR_ONCE_
namespace ddgan::kernels {

// What output position `out` reads in one direction, in an image without edges.
struct FirReads {
  int count = 0;
  int64_t from[4] = {};
  float tap[4] = {};

  void Add(int64_t in, float weight) {
    from[count] = in;
    tap[count++] = weight;
  }
};

inline FirReads ReadsOf(FirKind kind, int64_t out, const Taps& taps) {
  FirReads reads;
  for (int j = 0; j < 4; ++j) {
    const float tap = taps[static_cast<size_t>(j)];
    if (kind == FirKind::kDown) {
      reads.Add(2 * out + j - 1, tap);
    } else if (kind == FirKind::kSmooth) {
      reads.Add(out + j - 2, tap);
    } else if ((out + 1 - j) % 2 == 0) {
      reads.Add((out + 1 - j) / 2, tap);
    }
  }
  return reads;
}

// Whether all of them are in [0, size), `shift` further on.
inline bool AllInside(const FirReads& reads, int64_t shift, int64_t size) {
  const int64_t a = reads.from[0], b = reads.from[reads.count - 1];
  return std::min(a, b) + shift >= 0 && std::max(a, b) + shift < size;
}

// Those of them that are.
inline FirReads Inside(const FirReads& reads, int64_t shift, int64_t size) {
  FirReads inside;
  for (int j = 0; j < reads.count; ++j) {
    const int64_t in = reads.from[j] + shift;
    if (in >= 0 && in < size) inside.Add(in, reads.tap[j]);
  }
  return inside;
}

// All that an output pixel reads, in floats from where its image begins.
struct FirPixel {
  FirPixel() = default;
  FirPixel(const FirReads& rows, const FirReads& columns, int64_t size,
           int64_t channels) {
    for (int i = 0; i < rows.count; ++i) {
      for (int j = 0; j < columns.count; ++j, ++count) {
        from[count] = (rows.from[i] * size + columns.from[j]) * channels;
        weight[count] = rows.tap[i] * columns.tap[j];
      }
    }
  }

  int count = 0;
  int64_t from[16];
  float weight[16];
};

}  // namespace ddgan::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace ddgan::kernels::HWY_NAMESPACE {

HWY_INLINE void FilterPixel(const float* x, const FirPixel& reads, int count,
                            int64_t channels, float* y) {
  ForEachVector(channels, [&](auto d, int64_t c) HWY_ATTR {
    auto sum = hn::Zero(d);
    for (int i = 0; i < count; ++i) {
      sum = Fma(hn::LoadU(d, x + reads.from[i] + c),
                hn::Set(d, reads.weight[i]), sum);
    }
    hn::StoreU(sum, d, y + c);
  });
}

// One row of the output. x: one image.
void FirRow(FirKind kind, const float* x, int64_t size, int64_t channels,
            const Taps& taps, int64_t row, float* y) {
  const FirReads rows = Inside(ReadsOf(kind, row, taps), 0, size);
  // Away from the edges, columns read alike, those of a phase `step` input
  // columns after each other.
  const int64_t phases = kind == FirKind::kUp ? 2 : 1;
  const int64_t step = kind == FirKind::kDown ? 2 : 1;
  FirReads columns[2];
  FirPixel pixels[2];
  for (int64_t phase = 0; phase < phases; ++phase) {
    columns[phase] = ReadsOf(kind, phase, taps);
    pixels[phase] = FirPixel(rows, columns[phase], size, channels);
  }
  const int64_t out_size = FirOutSize(kind, size);
  for (int64_t column = 0; column < out_size; ++column, y += channels) {
    const int64_t phase = column % phases, shift = column / phases * step;
    if (!AllInside(columns[phase], shift, size)) {
      const FirPixel pixel(rows, Inside(columns[phase], shift, size), size,
                           channels);
      FilterPixel(x, pixel, pixel.count, channels, y);
      continue;
    }
    const float* from = x + shift * channels;
    const FirPixel& pixel = pixels[phase];
    // Of a known count, so that the loop is unrolled.
    if (pixel.count == 16) {
      FilterPixel(from, pixel, 16, channels, y);
    } else if (pixel.count == 4) {
      FilterPixel(from, pixel, 4, channels, y);
    } else {
      FilterPixel(from, pixel, pixel.count, channels, y);
    }
  }
}

}  // namespace ddgan::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ddgan::kernels {

HWY_EXPORT(FirRow);

int64_t FirOutSize(FirKind kind, int64_t size) {
  switch (kind) {
    case FirKind::kDown:
      return size / 2;
    case FirKind::kUp:
      return 2 * size;
    case FirKind::kSmooth:
      return size + 1;
  }
  return 0;  // Not reached.
}

void Fir(FirKind kind, const float* x, int64_t images, int64_t size,
         int64_t channels, const Taps& taps, float* y, ThreadPool& threads) {
  const int64_t out_size = FirOutSize(kind, size);
  const int64_t work = 16 * out_size * channels / 16;
  threads.Run(images * out_size, work, [&](int64_t task) {
    const int64_t image = task / out_size, row = task % out_size;
    HWY_DYNAMIC_DISPATCH(FirRow)
    (kind, x + image * size * size * channels, size, channels, taps, row,
     y + task * out_size * channels);
  });
}

}  // namespace ddgan::kernels
#endif  // HWY_ONCE
