#include "engine/kernels/normal_noise.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/kernels/normal_noise.cc"
#include <hwy/foreach_target.h>
//
#include <hwy/highway.h>

#include <algorithm>

#include "engine/kernels/vector_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ddgan::kernels::HWY_NAMESPACE {

// Box and Muller: of u in (0, 1] and v in [0, 2 pi] r sin v and r cos v, with r
// = sqrt(-2 ln u), in place.
void BoxMullerImpl(int64_t count, float* u, float* v) {
  ForEachVector(count, [&](auto d, int64_t i) HWY_ATTR {
    using V = hn::Vec<decltype(d)>;
    const V r = hn::Sqrt(hn::Mul(hn::Set(d, -2.0f), Log(hn::LoadU(d, u + i))));
    V sine, cosine;
    SinCos(hn::LoadU(d, v + i), &sine, &cosine);
    hn::StoreU(hn::Mul(r, sine), d, u + i);
    hn::StoreU(hn::Mul(r, cosine), d, v + i);
  });
}

}  // namespace ddgan::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ddgan::kernels {

HWY_EXPORT(BoxMullerImpl);

void FillNormal(const NoiseKey& key, int64_t count, float* out) {
  constexpr int64_t kPairs = 256;  // Of a round; 2 per block of 4 elements.
  const uint32_t words[2] = {static_cast<uint32_t>(key.seed),
                             static_cast<uint32_t>(key.seed >> 32)};
  float u[kPairs], v[kPairs];
  for (int64_t first = 0; first < count; first += 2 * kPairs) {
    const int64_t blocks = (std::min(2 * kPairs, count - first) + 3) / 4;
    for (int64_t i = 0; i < blocks; ++i) {
      const Philox4 block =
          Philox4x32_10({{static_cast<uint32_t>(first / 4 + i), key.image_index,
                          key.step, static_cast<uint32_t>(key.stream)}},
                        words);
      for (int64_t pair = 0; pair < 2; ++pair) {
        u[2 * i + pair] = UnitInterval(block.w[2 * pair]);
        v[2 * i + pair] = Angle(block.w[2 * pair + 1]);
      }
    }
    HWY_DYNAMIC_DISPATCH(BoxMullerImpl)(2 * blocks, u, v);
    const int64_t end = std::min(2 * kPairs, count - first);
    for (int64_t i = 0; i < end; ++i) {
      out[first + i] = i % 2 == 0 ? u[i / 2] : v[i / 2];
    }
  }
}

}  // namespace ddgan::kernels
#endif  // HWY_ONCE
