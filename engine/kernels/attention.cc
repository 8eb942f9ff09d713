#include "engine/kernels/attention.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/kernels/attention.cc"
#include <hwy/foreach_target.h>
//
#include <hwy/highway.h>

#include <algorithm>

#include "engine/kernels/matrix_product.h"
#include "engine/kernels/vector_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ddgan::kernels::HWY_NAMESPACE {

void SoftmaxImpl(float* x, int64_t count) {
  constexpr int64_t kChains = 16;
  // The largest value is the same in whatever order it is looked for.
  float chains[kChains];
  std::fill_n(chains, kChains, x[0]);
  for (int64_t first = 0; first < count; first += kChains) {
    ForEachVector(std::min(kChains, count - first), [&](auto d,
                                                        int64_t j) HWY_ATTR {
      hn::StoreU(hn::Max(hn::LoadU(d, chains + j), hn::LoadU(d, x + first + j)),
                 d, chains + j);
    });
  }
  const float largest = *std::max_element(chains, chains + kChains);
  std::fill_n(chains, kChains, 0.0f);
  for (int64_t first = 0; first < count; first += kChains) {
    ForEachVector(
        std::min(kChains, count - first), [&](auto d, int64_t j) HWY_ATTR {
          const auto e =
              Exp(hn::Sub(hn::LoadU(d, x + first + j), hn::Set(d, largest)));
          hn::StoreU(e, d, x + first + j);
          hn::StoreU(hn::Add(hn::LoadU(d, chains + j), e), d, chains + j);
        });
  }
  for (int64_t width = kChains / 2; width > 0; width /= 2) {
    for (int64_t j = 0; j < width; ++j) chains[j] += chains[j + width];
  }
  ForEachVector(count, [&](auto d, int64_t j) HWY_ATTR {
    hn::StoreU(hn::Div(hn::LoadU(d, x + j), hn::Set(d, chains[0])), d, x + j);
  });
}

}  // namespace ddgan::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ddgan::kernels {
namespace {

// Queries of one task.
constexpr int64_t kBlockRows = 32;

int64_t AlignedCount(int64_t count) { return (count + 15) / 16 * 16; }

}  // namespace

HWY_EXPORT(SoftmaxImpl);

void Softmax(float* x, int64_t count) {
  HWY_DYNAMIC_DISPATCH(SoftmaxImpl)(x, count);
}

int64_t AttentionScratch(int64_t images, int64_t pixels, int64_t channels) {
  const int64_t blocks = (pixels + kBlockRows - 1) / kBlockRows;
  return images * (PackedSize(channels, pixels) + PackedSize(pixels, channels) +
                   blocks * AlignedCount(kBlockRows * pixels));
}

void Attend(const float* qkv, int64_t images, int64_t pixels, int64_t channels,
            float* y, float* scratch, ThreadPool& threads) {
  const int64_t stride = 3 * channels;
  const int64_t keys_size = PackedSize(channels, pixels);
  const int64_t values_size = PackedSize(pixels, channels);
  float* const keys = scratch;
  float* const values = keys + images * keys_size;
  float* const weights = values + images * values_size;
  threads.Run(2 * images, pixels * channels, [&](int64_t task) {
    const int64_t image = task / 2;
    const float* source = qkv + image * pixels * stride;
    if (task % 2 == 0) {
      PackMatrix(source + channels, channels, pixels, 1, stride,
                 keys + image * keys_size);
    } else {
      PackMatrix(source + 2 * channels, pixels, channels, stride, 1,
                 values + image * values_size);
    }
  });
  const int64_t blocks = (pixels + kBlockRows - 1) / kBlockRows;
  const int64_t work = 2 * kBlockRows * channels * PanelsOf(pixels);
  threads.Run(images * blocks, work, [&](int64_t task) {
    const int64_t image = task / blocks, first = task % blocks * kBlockRows;
    const int64_t rows = std::min(kBlockRows, pixels - first);
    float* block = weights + task * AlignedCount(kBlockRows * pixels);
    const float* runs[kBlockRows];
    for (int64_t i = 0; i < rows; ++i) {
      runs[i] = qkv + (image * pixels + first + i) * stride;
    }
    MultiplyRows({.runs = runs, .rows = rows, .taps = 1, .run = channels},
                 {keys + image * keys_size, channels, pixels}, 0,
                 PanelsOf(pixels), nullptr, 0, block, pixels);
    for (int64_t i = 0; i < rows; ++i) {
      Softmax(block + i * pixels, pixels);
      runs[i] = block + i * pixels;
    }
    MultiplyRows({.runs = runs, .rows = rows, .taps = 1, .run = pixels},
                 {values + image * values_size, pixels, channels}, 0,
                 PanelsOf(channels), nullptr, 0,
                 y + (image * pixels + first) * channels, channels);
  });
}

}  // namespace ddgan::kernels
#endif  // HWY_ONCE
