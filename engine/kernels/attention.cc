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
  const hn::CappedTag<float, kChains> d;
  using V = hn::Vec<decltype(d)>;
  constexpr int64_t kLanes = static_cast<int64_t>(hn::MaxLanes(d));
  constexpr int64_t kVectors = kChains / kLanes;
  // All chains at once where there are as many values, then the rest.
  const int64_t whole = count / kChains * kChains, rest = count - whole;
  float chains[kChains];
  V sums[kVectors];
  // The largest value is the same in whatever order it is looked for.
  for (V& largest : sums) largest = hn::Set(d, x[0]);
  for (int64_t first = 0; first < whole; first += kChains) {
    for (int64_t i = 0; i < kVectors; ++i) {
      sums[i] = hn::Max(sums[i], hn::LoadU(d, x + first + i * kLanes));
    }
  }
  for (int64_t i = 0; i < kVectors; ++i) {
    hn::StoreU(sums[i], d, chains + i * kLanes);
  }
  float largest = *std::max_element(chains, chains + kChains);
  for (int64_t j = whole; j < count; ++j) largest = std::max(largest, x[j]);
  for (V& sum : sums) sum = hn::Zero(d);
  for (int64_t first = 0; first < whole; first += kChains) {
    for (int64_t i = 0; i < kVectors; ++i) {
      float* const at = x + first + i * kLanes;
      const V e = Exp(hn::Sub(hn::LoadU(d, at), hn::Set(d, largest)));
      hn::StoreU(e, d, at);
      sums[i] = hn::Add(sums[i], e);
    }
  }
  for (int64_t i = 0; i < kVectors; ++i) {
    hn::StoreU(sums[i], d, chains + i * kLanes);
  }
  ForEachVector(rest, [&](auto part, int64_t j) HWY_ATTR {
    float* const at = x + whole + j;
    const auto e = Exp(hn::Sub(hn::LoadU(part, at), hn::Set(part, largest)));
    hn::StoreU(e, part, at);
    hn::StoreU(hn::Add(hn::LoadU(part, chains + j), e), part, chains + j);
  });
  for (int64_t width = kChains / 2; width > 0; width /= 2) {
    for (int64_t j = 0; j < width; ++j) chains[j] += chains[j + width];
  }
  ForEachVector(count, [&](auto part, int64_t j) HWY_ATTR {
    hn::StoreU(hn::Div(hn::LoadU(part, x + j), hn::Set(part, chains[0])), part,
               x + j);
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
