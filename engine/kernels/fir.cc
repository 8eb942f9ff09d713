#include "engine/kernels/fir.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/kernels/fir.cc"
#include <hwy/foreach_target.h>
//
#include <hwy/highway.h>

#include "engine/kernels/simd-inl.h"

#ifndef DDGAN_ENGINE_KERNELS_FIR_ONCE_
#define DDGAN_ENGINE_KERNELS_FIR_ONCE_
namespace ddgan::kernels {

// What one output position reads in one direction.
struct FirReads {
  int count = 0;
  int64_t from[4] = {};
  float tap[4] = {};
};

inline FirReads ReadsOf(FirKind kind, int64_t out, int64_t size,
                        const Taps& taps) {
  FirReads reads;
  for (int j = 0; j < 4; ++j) {
    int64_t in = 0;
    if (kind == FirKind::kDown) {
      in = 2 * out + j - 1;
    } else if (kind == FirKind::kSmooth) {
      in = out + j - 2;
    } else {
      if ((out + 1 - j) % 2 != 0) continue;
      in = (out + 1 - j) / 2;
    }
    if (in < 0 || in >= size) continue;
    reads.from[reads.count] = in;
    reads.tap[reads.count++] = taps[static_cast<size_t>(j)];
  }
  return reads;
}

}  // namespace ddgan::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace ddgan::kernels::HWY_NAMESPACE {

// One row of the output. x: one image.
void FirRow(FirKind kind, const float* x, int64_t size, int64_t channels,
            const Taps& taps, int64_t row, float* y) {
  const FirReads rows = ReadsOf(kind, row, size, taps);
  const int64_t out_size = FirOutSize(kind, size);
  for (int64_t column = 0; column < out_size; ++column, y += channels) {
    const FirReads columns = ReadsOf(kind, column, size, taps);
    const float* from[16];
    float weight[16];
    int count = 0;
    for (int i = 0; i < rows.count; ++i) {
      for (int j = 0; j < columns.count; ++j, ++count) {
        from[count] = x + (rows.from[i] * size + columns.from[j]) * channels;
        weight[count] = rows.tap[i] * columns.tap[j];
      }
    }
    ForEachVector(channels, [&](auto d, int64_t c) HWY_ATTR {
      auto sum = hn::Zero(d);
      for (int i = 0; i < count; ++i) {
        sum = Fma(hn::LoadU(d, from[i] + c), hn::Set(d, weight[i]), sum);
      }
      hn::StoreU(sum, d, y + c);
    });
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
