#include "engine/kernels/elementwise.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/kernels/elementwise.cc"
#include <hwy/foreach_target.h>
//
#include <hwy/highway.h>

#include <algorithm>

#include "engine/kernels/vector_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ddgan::kernels::HWY_NAMESPACE {

void AddScaleImpl(const float* a, const float* b, float factor, int64_t count,
                  float* y) {
  ForEachVector(count, [&](auto d, int64_t i) HWY_ATTR {
    const auto sum = hn::Add(hn::LoadU(d, a + i), hn::LoadU(d, b + i));
    hn::StoreU(hn::Mul(sum, hn::Set(d, factor)), d, y + i);
  });
}

void SiluImpl(float* x, int64_t count) {
  ForEachVector(count, [&](auto d, int64_t i) HWY_ATTR {
    const auto value = hn::LoadU(d, x + i);
    hn::StoreU(hn::Mul(value, Sigmoid(value)), d, x + i);
  });
}

void ApplyImpl(VectorFunction function, const float* x, int64_t count,
               float* y) {
  ForEachVector(count, [&](auto d, int64_t i) HWY_ATTR {
    const auto value = hn::LoadU(d, x + i);
    auto result = value, other = value;
    switch (function) {
      case VectorFunction::kExp:
        result = Exp(value);
        break;
      case VectorFunction::kLog:
        result = Log(value);
        break;
      case VectorFunction::kTanh:
        result = Tanh(value);
        break;
      case VectorFunction::kSigmoid:
        result = Sigmoid(value);
        break;
      case VectorFunction::kSine:
        SinCos(value, &result, &other);
        break;
      case VectorFunction::kCosine:
        SinCos(value, &other, &result);
        break;
    }
    hn::StoreU(result, d, y + i);
  });
}

}  // namespace ddgan::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ddgan::kernels {

HWY_EXPORT(AddScaleImpl);
HWY_EXPORT(SiluImpl);
HWY_EXPORT(ApplyImpl);

void AddScale(const float* a, const float* b, float factor, int64_t count,
              float* y) {
  HWY_DYNAMIC_DISPATCH(AddScaleImpl)(a, b, factor, count, y);
}

void Silu(float* x, int64_t count) { HWY_DYNAMIC_DISPATCH(SiluImpl)(x, count); }

void Apply(VectorFunction function, const float* x, int64_t count, float* y) {
  HWY_DYNAMIC_DISPATCH(ApplyImpl)(function, x, count, y);
}

void TanhToPlanes(const float* x, int64_t pixels, int64_t channels, float* y) {
  for (int64_t c = 0; c < channels; ++c) {
    for (int64_t p = 0; p < pixels; ++p)
      y[c * pixels + p] = x[p * channels + c];
  }
  Apply(VectorFunction::kTanh, y, channels * pixels, y);
}

void FromPlanes(const float* x, int64_t pixels, int64_t channels, float* y) {
  for (int64_t p = 0; p < pixels; ++p) {
    for (int64_t c = 0; c < channels; ++c)
      y[p * channels + c] = x[c * pixels + p];
  }
}

void Concatenate(const float* a, int64_t a_channels, const float* b,
                 int64_t b_channels, int64_t pixels, float* y) {
  for (int64_t p = 0; p < pixels; ++p) {
    y = std::copy_n(a + p * a_channels, a_channels, y);
    y = std::copy_n(b + p * b_channels, b_channels, y);
  }
}

}  // namespace ddgan::kernels
#endif  // HWY_ONCE
