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
    hn::StoreU(SiluOf(hn::LoadU(d, x + i)), d, x + i);
  });
}

bool ApplyUpdateImpl(const LinearUpdate& update, const float* x,
                     const float* noise, int64_t count, float* x0) {
  bool finite = true;
  ForEachVector(count, [&](auto d, int64_t i) HWY_ATTR {
    auto y = Fma(hn::LoadU(d, x + i), hn::Set(d, update.x),
                 hn::Mul(hn::LoadU(d, x0 + i), hn::Set(d, update.x0)));
    if (update.noise != 0) {
      y = Fma(hn::LoadU(d, noise + i), hn::Set(d, update.noise), y);
    }
    finite = finite && hn::AllTrue(d, hn::IsFinite(y));
    hn::StoreU(y, d, x0 + i);
  });
  return finite;
}

void DiffuseImpl(float a, const float* x, float b, int64_t count, float* y) {
  ForEachVector(count, [&](auto d, int64_t i) HWY_ATTR {
    hn::StoreU(Fma(hn::LoadU(d, x + i), hn::Set(d, a),
                   hn::Mul(hn::LoadU(d, y + i), hn::Set(d, b))),
               d, y + i);
  });
}

void ConcatenateImpl(const float* a, int64_t a_channels, const float* b,
                     int64_t b_channels, int64_t pixels, float* y) {
  const auto copy = [](const float* from, int64_t count, float* to) HWY_ATTR {
    ForEachVector(count, [&](auto d, int64_t i) HWY_ATTR {
      hn::StoreU(hn::LoadU(d, from + i), d, to + i);
    });
  };
  for (int64_t p = 0; p < pixels; ++p) {
    copy(a + p * a_channels, a_channels, y);
    y += a_channels;
    copy(b + p * b_channels, b_channels, y);
    y += b_channels;
  }
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
HWY_EXPORT(ConcatenateImpl);
HWY_EXPORT(SiluImpl);
HWY_EXPORT(ApplyUpdateImpl);
HWY_EXPORT(DiffuseImpl);
HWY_EXPORT(ApplyImpl);

void AddScale(const float* a, const float* b, float factor, int64_t count,
              float* y) {
  HWY_DYNAMIC_DISPATCH(AddScaleImpl)(a, b, factor, count, y);
}

void Silu(float* x, int64_t count) { HWY_DYNAMIC_DISPATCH(SiluImpl)(x, count); }

void Apply(VectorFunction function, const float* x, int64_t count, float* y) {
  HWY_DYNAMIC_DISPATCH(ApplyImpl)(function, x, count, y);
}

bool ApplyUpdate(const LinearUpdate& update, const float* x, const float* noise,
                 int64_t count, float* x0) {
  return HWY_DYNAMIC_DISPATCH(ApplyUpdateImpl)(update, x, noise, count, x0);
}

void Diffuse(float a, const float* x, float b, int64_t count, float* y) {
  HWY_DYNAMIC_DISPATCH(DiffuseImpl)(a, x, b, count, y);
}

double SquaredNorm(const float* x, int64_t count) {
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) {
    sum += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  }
  return sum;
}

double SquaredDistance(const float* x, float factor, const float* y,
                       int64_t count) {
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) {
    const double difference = static_cast<double>(x[i] - factor * y[i]);
    sum += difference * difference;
  }
  return sum;
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
  HWY_DYNAMIC_DISPATCH(ConcatenateImpl)
  (a, a_channels, b, b_channels, pixels, y);
}

}  // namespace ddgan::kernels
#endif  // HWY_ONCE
