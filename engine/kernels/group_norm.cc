#include "engine/kernels/group_norm.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/kernels/group_norm.cc"
#include <hwy/foreach_target.h>
//
#include <hwy/highway.h>

#include <algorithm>
#include <cmath>

#include "engine/kernels/vector_math-inl.h"

#ifndef DDGAN_ENGINE_KERNELS_GROUP_NORM_ONCE_
#define DDGAN_ENGINE_KERNELS_GROUP_NORM_ONCE_
namespace ddgan::kernels {

// Channels of one task: whole groups of them, so that a cache line that is
// fetched is used.
inline constexpr int64_t kMaxBlock = 256;

// Some groups of one image.
struct NormBlock {
  const float* x;  // Of the block's first channel.
  float* y;
  int64_t pixels;
  int64_t channels;        // Of the whole image: between two pixels.
  int64_t width;           // Channels of this block. <= kMaxBlock
  int64_t group_channels;  // Divides width.
  const float* scale;      // Of the block's first channel.
  const float* shift;
  // Of the block's first channel: y = x factor + offset.
  float* factors;
  float* offsets;
};

}  // namespace ddgan::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace ddgan::kernels::HWY_NAMESPACE {

// sums[c] = sum over pixels of term(x).
template <typename Term>
HWY_INLINE void ChannelSums(const NormBlock& block, float* sums,
                            const Term& term) {
  ForEachVector(block.width, [&](auto d, int64_t c) HWY_ATTR {
    using V = hn::Vec<decltype(d)>;
    V chains[4] = {hn::Zero(d), hn::Zero(d), hn::Zero(d), hn::Zero(d)};
    const float* x = block.x + c;
    int64_t p = 0;
    for (; p + 4 <= block.pixels; p += 4) {
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i, x += block.channels) {
        chains[i] = term(d, c, hn::LoadU(d, x), chains[i]);
      }
    }
    for (int i = 0; p < block.pixels; ++p, ++i, x += block.channels) {
      chains[i] = term(d, c, hn::LoadU(d, x), chains[i]);
    }
    hn::StoreU(
        hn::Add(hn::Add(chains[0], chains[1]), hn::Add(chains[2], chains[3])),
        d, sums + c);
  });
}

// each channel's of its group: f(sum of the group's `sums`), to `values`.
template <typename F>
void ToGroups(const NormBlock& block, const float* sums, float* values,
              const F& f) {
  for (int64_t first = 0; first < block.width; first += block.group_channels) {
    double sum = 0;
    for (int64_t i = 0; i < block.group_channels; ++i) {
      sum += static_cast<double>(sums[first + i]);
    }
    std::fill_n(values + first, block.group_channels, f(sum));
  }
}

// Computes the factors and offsets.
void Measure(const NormBlock& block) {
  float sums[kMaxBlock], means[kMaxBlock];
  const double count = static_cast<double>(block.pixels * block.group_channels);
  ChannelSums(block, sums, [](auto, int64_t, auto x, auto sum) HWY_ATTR {
    return hn::Add(sum, x);
  });
  ToGroups(block, sums, means,
           [&](double sum) { return static_cast<float>(sum / count); });
  ChannelSums(block, sums, [&](auto d, int64_t c, auto x, auto sum) HWY_ATTR {
    const auto difference = hn::Sub(x, hn::LoadU(d, means + c));
    return Fma(difference, difference, sum);
  });
  ToGroups(block, sums, block.factors, [&](double sum) {
    return static_cast<float>(1.0 / std::sqrt(sum / count + 1e-6));
  });
  for (int64_t c = 0; c < block.width; ++c) {
    block.factors[c] *= block.scale[c];
    block.offsets[c] = std::fma(-means[c], block.factors[c], block.shift[c]);
  }
}

// Pixels [first, last) of the result.
void Normalize(const NormBlock& block, Activation activation, int64_t first,
               int64_t last) {
  ForEachVector(block.width, [&](auto d, int64_t c) HWY_ATTR {
    const auto factor = hn::LoadU(d, block.factors + c);
    const auto offset = hn::LoadU(d, block.offsets + c);
    for (int64_t p = first; p < last; ++p) {
      const int64_t at = p * block.channels + c;
      auto y = Fma(hn::LoadU(d, block.x + at), factor, offset);
      if (activation == Activation::kSilu) y = SiluOf(y);
      hn::StoreU(y, d, block.y + at);
    }
  });
}

}  // namespace ddgan::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ddgan::kernels {

HWY_EXPORT(Measure);
HWY_EXPORT(Normalize);

void GroupNorm(const float* x, int64_t images, int64_t pixels, int64_t channels,
               int64_t groups, const float* const* scales,
               const float* const* shifts, Activation activation, float* y,
               float* scratch, ThreadPool& threads) {
  const int64_t group_channels = channels / groups;
  // At least 16 channels, a cache line, where there are as many.
  const int64_t block_groups =
      std::min((15 + group_channels) / group_channels, groups);
  const int64_t blocks = (groups + block_groups - 1) / block_groups;
  const auto block_of = [&](int64_t i) {
    const int64_t image = i / blocks;
    const int64_t first = i % blocks * block_groups * group_channels;
    const int64_t at = image * pixels * channels + first;
    float* const factors = scratch + image * 2 * channels + first;
    return NormBlock{
        .x = x + at,
        .y = y + at,
        .pixels = pixels,
        .channels = channels,
        .width = std::min(block_groups * group_channels, channels - first),
        .group_channels = group_channels,
        .scale = scales[image] + first,
        .shift = shifts[image] + first,
        .factors = factors,
        .offsets = factors + channels};
  };
  // Some 4 operations per value to measure it, and 16 with the activation.
  const int64_t vectors = pixels * block_groups * group_channels / 16;
  if (images * blocks >= threads.threads()) {
    threads.Run(images * blocks, 20 * vectors, [&](int64_t task) {
      const NormBlock block = block_of(task);
      HWY_DYNAMIC_DISPATCH(Measure)(block);
      HWY_DYNAMIC_DISPATCH(Normalize)(block, activation, 0, pixels);
    });
    return;
  }
  threads.Run(images * blocks, 4 * vectors, [&](int64_t task) {
    HWY_DYNAMIC_DISPATCH(Measure)(block_of(task));
  });
  const int64_t parts = std::min<int64_t>(2 * threads.threads(), pixels);
  threads.Run(images * blocks * parts, 16 * vectors / parts, [&](int64_t task) {
    const int64_t part = task % parts;
    HWY_DYNAMIC_DISPATCH(Normalize)
    (block_of(task / parts), activation, part * pixels / parts,
     (part + 1) * pixels / parts);
  });
}

}  // namespace ddgan::kernels
#endif  // HWY_ONCE
