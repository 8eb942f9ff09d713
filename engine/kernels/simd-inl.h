// What all vector code of this room stands on: Highway's tags and the one fused
// multiply-add. Included once per instruction set, between
// HWY_BEFORE_NAMESPACE and HWY_AFTER_NAMESPACE.
//
// The rule (engine/README.md, "One output, one chain"): a lane holds one output
// element, so no result knows how many lanes there are.
#if defined(DDGAN_ENGINE_KERNELS_SIMD_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef DDGAN_ENGINE_KERNELS_SIMD_INL_H_
#undef DDGAN_ENGINE_KERNELS_SIMD_INL_H_
#else
#define DDGAN_ENGINE_KERNELS_SIMD_INL_H_
#endif

#include <hwy/highway.h>

#include <cmath>
#include <cstddef>
#include <cstdint>

HWY_BEFORE_NAMESPACE();
namespace ddgan::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// a b + c, rounded once, on every processor.
template <typename V>
HWY_INLINE V Fma(V a, V b, V c) {
#if HWY_TARGET == HWY_SCALAR
  return V(std::fma(a.raw, b.raw, c.raw));  // Highway's rounds twice.
#else
  return hn::MulAdd(a, b, c);
#endif
}

// c - a b, rounded once.
template <typename V>
HWY_INLINE V NegativeFma(V a, V b, V c) {
#if HWY_TARGET == HWY_SCALAR
  return Fma(hn::Neg(a), b, c);
#else
  return hn::NegMulAdd(a, b, c);
#endif
}

// Calls f(tag, i) for i = 0, lanes, 2 lanes, ... below count, with a tag of
// whole vectors and then, for the rest, one of a single lane: f computes lane
// by lane, so the rest has the same bits as if it were in a whole vector.
template <typename F>
HWY_INLINE void ForEachVector(int64_t count, const F& f) {
  const hn::ScalableTag<float> whole;
  const hn::CappedTag<float, 1> single;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(whole));
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) f(whole, i);
  for (; i < count; ++i) f(single, i);
}

}  // namespace ddgan::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // DDGAN_ENGINE_KERNELS_SIMD_INL_H_
