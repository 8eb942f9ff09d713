#include "engine/model/nhwc_kernels.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <memory>
#include <vector>

// One binary serves every x86-64 processor: the compiler makes a version of
// each function per instruction set and the loader picks. Not under sanitizers,
// whose runtime is not up when the loader picks.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define DDGAN_VECTORISED \
  __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define DDGAN_VECTORISED
#endif
#define DDGAN_INLINE inline __attribute__((always_inline))

namespace ddgan::nhwc {
namespace {

constexpr double kEpsilon = 1e-6;

// e^x to about 1e-7 relative for x in [-87, 83], held at the ends' order of
// magnitude outside. Cody-Waite reduction and a degree-6 polynomial;
// branch-free, so that loops vectorise, which calls of expf do not. The range
// is clamped on the integer exponent: a clamp of the float would become masked
// lanes that compute with denormals, 5 times slower.
DDGAN_INLINE float FastExp(float x) {
  constexpr float kRound = 12582912.0f;  // 1.5 * 2^23: adding it rounds.
  const float shifted = x * 1.44269504f + kRound;
  const float n = shifted - kRound;
  const float r = (x - n * 0.693359375f) - n * -2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.0f;
  int32_t exponent =
      std::bit_cast<int32_t>(shifted) - std::bit_cast<int32_t>(kRound);
  exponent = std::min(std::max(exponent, -126), 120);
  return p * std::bit_cast<float>((exponent + 127) << 23);
}

DDGAN_INLINE float Sigmoid(float x) { return 1.0f / (1.0f + FastExp(-x)); }

// Per-channel buffers of one call, on the stack for the usual widths.
class ChannelBuffer {
 public:
  explicit ChannelBuffer(int64_t size) {
    if (size > kInline) heap_ = std::make_unique<float[]>(size);
    data_ = heap_ ? heap_.get() : inline_;
  }
  float* get() { return data_; }

 private:
  static constexpr int64_t kInline = 1024;
  float inline_[kInline];
  std::unique_ptr<float[]> heap_;
  float* data_;
};

// sum[c] += over pixels; a separate function so that it vectorises over c.
DDGAN_VECTORISED void ChannelSums(const float* __restrict x, int64_t pixels,
                                  int64_t channels, float* __restrict sum) {
  std::fill(sum, sum + channels, 0.0f);
  for (int64_t p = 0; p < pixels; ++p, x += channels) {
    for (int64_t c = 0; c < channels; ++c) sum[c] += x[c];
  }
}

DDGAN_VECTORISED void ChannelSquareSums(const float* __restrict x,
                                        int64_t pixels, int64_t channels,
                                        const float* __restrict mean,
                                        float* __restrict sum) {
  std::fill(sum, sum + channels, 0.0f);
  for (int64_t p = 0; p < pixels; ++p, x += channels) {
    for (int64_t c = 0; c < channels; ++c) {
      const float d = x[c] - mean[c];
      sum[c] += d * d;
    }
  }
}

DDGAN_VECTORISED void ScaleShift(const float* __restrict x, int64_t pixels,
                                 int64_t channels, const float* __restrict a,
                                 const float* __restrict b,
                                 float* __restrict y) {
  for (int64_t p = 0; p < pixels; ++p, x += channels, y += channels) {
    for (int64_t c = 0; c < channels; ++c) y[c] = x[c] * a[c] + b[c];
  }
}

DDGAN_VECTORISED void ScaleShiftSilu(const float* __restrict x, int64_t pixels,
                                     int64_t channels,
                                     const float* __restrict a,
                                     const float* __restrict b,
                                     float* __restrict y) {
  for (int64_t p = 0; p < pixels; ++p, x += channels, y += channels) {
    for (int64_t c = 0; c < channels; ++c) {
      const float u = x[c] * a[c] + b[c];
      y[c] = u * Sigmoid(u);
    }
  }
}

// du = dy silu'(u) with u = a x + b, kept in `du`; sums of du and of du x.
DDGAN_VECTORISED void SiluGradient(const float* __restrict x, int64_t pixels,
                                   int64_t channels, const float* __restrict a,
                                   const float* __restrict b,
                                   const float* __restrict dy,
                                   float* __restrict du,
                                   float* __restrict sum_du,
                                   float* __restrict sum_du_x) {
  std::fill(sum_du, sum_du + channels, 0.0f);
  std::fill(sum_du_x, sum_du_x + channels, 0.0f);
  for (int64_t p = 0; p < pixels; ++p) {
    for (int64_t c = 0; c < channels; ++c) {
      const float u = x[c] * a[c] + b[c];
      const float s = Sigmoid(u);
      const float d = dy[c] * s * (1.0f + u * (1.0f - s));
      du[c] = d;
      sum_du[c] += d;
      sum_du_x[c] += d * x[c];
    }
    x += channels;
    dy += channels;
    du += channels;
  }
}

DDGAN_VECTORISED void PlainGradient(const float* __restrict x, int64_t pixels,
                                    int64_t channels,
                                    const float* __restrict dy,
                                    float* __restrict du,
                                    float* __restrict sum_du,
                                    float* __restrict sum_du_x) {
  std::fill(sum_du, sum_du + channels, 0.0f);
  std::fill(sum_du_x, sum_du_x + channels, 0.0f);
  for (int64_t p = 0; p < pixels; ++p) {
    for (int64_t c = 0; c < channels; ++c) {
      du[c] = dy[c];
      sum_du[c] += dy[c];
      sum_du_x[c] += dy[c] * x[c];
    }
    x += channels;
    dy += channels;
    du += channels;
  }
}

// dx = dx * a + x * b + c, per channel.
DDGAN_VECTORISED void CombineGradient(const float* __restrict x, int64_t pixels,
                                      int64_t channels,
                                      const float* __restrict a,
                                      const float* __restrict b,
                                      const float* __restrict c0,
                                      float* __restrict dx) {
  for (int64_t p = 0; p < pixels; ++p, x += channels, dx += channels) {
    for (int64_t c = 0; c < channels; ++c) {
      dx[c] = dx[c] * a[c] + x[c] * b[c] + c0[c];
    }
  }
}

// out[i] (+)= t x[i]
DDGAN_VECTORISED void Scale(const float* __restrict x, float t, int64_t count,
                            float* __restrict out) {
  for (int64_t i = 0; i < count; ++i) out[i] = t * x[i];
}
DDGAN_VECTORISED void Accumulate(const float* __restrict x, float t,
                                 int64_t count, float* __restrict out) {
  for (int64_t i = 0; i < count; ++i) out[i] += t * x[i];
}

// out[o] = sum_j taps[j] row[stride o + j - pad] over pixels of `channels`.
DDGAN_VECTORISED void FilterRow(const float* __restrict row, int64_t width,
                                int64_t channels, const Taps& taps, int64_t pad,
                                int64_t stride, int64_t out_width,
                                float* __restrict out) {
  const float t0 = taps[0], t1 = taps[1], t2 = taps[2], t3 = taps[3];
  for (int64_t o = 0; o < out_width; ++o, out += channels) {
    const int64_t first = stride * o - pad;
    if (first >= 0 && first + 4 <= width) {
      const float* __restrict a = row + first * channels;
      const float* __restrict b = a + channels;
      const float* __restrict d = b + channels;
      const float* __restrict e = d + channels;
      for (int64_t c = 0; c < channels; ++c) {
        out[c] = t0 * a[c] + t1 * b[c] + t2 * d[c] + t3 * e[c];
      }
      continue;
    }
    for (int64_t c = 0; c < channels; ++c) out[c] = 0.0f;
    for (int64_t j = 0; j < 4; ++j) {
      if (first + j < 0 || first + j >= width) continue;
      const float* __restrict a = row + (first + j) * channels;
      for (int64_t c = 0; c < channels; ++c) out[c] += taps[j] * a[c];
    }
  }
}

// out[2i] = taps[1] row[i] + taps[3] row[i-1];
// out[2i+1] = taps[2] row[i] + taps[0] row[i+1].
DDGAN_VECTORISED void UpRow(const float* __restrict row, int64_t width,
                            int64_t channels, const Taps& taps,
                            float* __restrict out) {
  const float t0 = taps[0], t1 = taps[1], t2 = taps[2], t3 = taps[3];
  for (int64_t i = 0; i < width; ++i) {
    const float* __restrict here = row + i * channels;
    float* __restrict even = out + 2 * i * channels;
    float* __restrict odd = even + channels;
    for (int64_t c = 0; c < channels; ++c) {
      even[c] = t1 * here[c];
      odd[c] = t2 * here[c];
    }
    if (i > 0) {
      const float* __restrict left = here - channels;
      for (int64_t c = 0; c < channels; ++c) even[c] += t3 * left[c];
    }
    if (i + 1 < width) {
      const float* __restrict right = here + channels;
      for (int64_t c = 0; c < channels; ++c) odd[c] += t0 * right[c];
    }
  }
}

// `row` = sum_j taps[j] x's row (first + j), rows outside being zero.
void CombineRows(const float* x, int64_t height, int64_t row_floats,
                 const Taps& taps, int64_t first, float* row) {
  bool started = false;
  for (int64_t j = 0; j < 4; ++j) {
    const int64_t y = first + j;
    if (y < 0 || y >= height) continue;
    if (started) {
      Accumulate(x + y * row_floats, taps[j], row_floats, row);
    } else {
      Scale(x + y * row_floats, taps[j], row_floats, row);
    }
    started = true;
  }
  if (!started) std::fill(row, row + row_floats, 0.0f);
}

// Scratch for one row, kept per thread: filters run thousands of times a
// second.
float* RowScratch(int64_t floats) {
  thread_local std::vector<float> scratch;
  if (static_cast<int64_t>(scratch.size()) < floats) scratch.resize(floats);
  return scratch.data();
}

}  // namespace

void GroupNorm(const float* x, int64_t pixels, int64_t channels, int64_t groups,
               const float* scale, const float* shift, Activation activation,
               float* y, float* mean, float* rstd) {
  ChannelBuffer sums(channels), means(channels), a(channels), b(channels);
  const int64_t width = channels / groups;
  const double count = static_cast<double>(pixels) * width;
  ChannelSums(x, pixels, channels, sums.get());
  for (int64_t g = 0; g < groups; ++g) {
    double sum = 0;
    for (int64_t c = g * width; c < (g + 1) * width; ++c) sum += sums.get()[c];
    mean[g] = static_cast<float>(sum / count);
    std::fill_n(means.get() + g * width, width, mean[g]);
  }
  // A second pass over data that is still in cache: E[x^2] - mean^2 would lose
  // digits where the mean is large.
  ChannelSquareSums(x, pixels, channels, means.get(), sums.get());
  for (int64_t g = 0; g < groups; ++g) {
    double sum = 0;
    for (int64_t c = g * width; c < (g + 1) * width; ++c) sum += sums.get()[c];
    rstd[g] = static_cast<float>(1.0 / std::sqrt(sum / count + kEpsilon));
    for (int64_t c = g * width; c < (g + 1) * width; ++c) {
      a.get()[c] = scale[c] * rstd[g];
      b.get()[c] = shift[c] - mean[g] * a.get()[c];
    }
  }
  if (activation == Activation::kSilu) {
    ScaleShiftSilu(x, pixels, channels, a.get(), b.get(), y);
  } else {
    ScaleShift(x, pixels, channels, a.get(), b.get(), y);
  }
}

void GroupNormBackward(const float* x, int64_t pixels, int64_t channels,
                       int64_t groups, const float* scale, const float* shift,
                       Activation activation, const float* mean,
                       const float* rstd, const float* dy, float* dx,
                       float* dscale, float* dshift) {
  ChannelBuffer a(channels), b(channels), sum_du_x(channels);
  const int64_t width = channels / groups;
  const double count = static_cast<double>(pixels) * width;
  for (int64_t c = 0; c < channels; ++c) {
    a.get()[c] = scale[c] * rstd[c / width];
    b.get()[c] = shift[c] - mean[c / width] * a.get()[c];
  }
  if (activation == Activation::kSilu) {
    SiluGradient(x, pixels, channels, a.get(), b.get(), dy, dx, dshift,
                 sum_du_x.get());
  } else {
    PlainGradient(x, pixels, channels, dy, dx, dshift, sum_du_x.get());
  }
  // With xhat = (x - mean) rstd and du the gradient before the affine map:
  // dx = rstd (scale du - E[scale du] - xhat E[scale du xhat]), E over a group.
  for (int64_t g = 0; g < groups; ++g) {
    double sum = 0, sum_xhat = 0;
    for (int64_t c = g * width; c < (g + 1) * width; ++c) {
      dscale[c] = (sum_du_x.get()[c] - mean[g] * dshift[c]) * rstd[g];
      sum += static_cast<double>(scale[c]) * dshift[c];
      sum_xhat += static_cast<double>(scale[c]) * dscale[c];
    }
    const double e = sum / count, e_xhat = sum_xhat / count;
    for (int64_t c = g * width; c < (g + 1) * width; ++c) {
      // dx = du (scale rstd) - x (rstd^2 E_xhat) + rstd (mean rstd E_xhat - E)
      b.get()[c] = static_cast<float>(-rstd[g] * rstd[g] * e_xhat);
      sum_du_x.get()[c] =
          static_cast<float>(rstd[g] * (mean[g] * rstd[g] * e_xhat - e));
    }
  }
  CombineGradient(x, pixels, channels, a.get(), b.get(), sum_du_x.get(), dx);
}

void FirDown(const float* x, int64_t height, int64_t width, int64_t channels,
             const Taps& taps, float* out) {
  const int64_t row_floats = width * channels;
  float* row = RowScratch(row_floats);
  for (int64_t o = 0; o < height / 2; ++o) {
    CombineRows(x, height, row_floats, taps, 2 * o - 1, row);
    FilterRow(row, width, channels, taps, /*pad=*/1, /*stride=*/2, width / 2,
              out + o * (width / 2) * channels);
  }
}

void FirUp(const float* x, int64_t height, int64_t width, int64_t channels,
           const Taps& taps, float* out) {
  const int64_t row_floats = width * channels;
  float* row = RowScratch(row_floats);
  for (int64_t o = 0; o < 2 * height; ++o) {
    const int64_t i = o / 2;
    const bool odd = o % 2 != 0;
    const int64_t other = odd ? i + 1 : i - 1;
    Scale(x + i * row_floats, odd ? taps[2] : taps[1], row_floats, row);
    if (other >= 0 && other < height) {
      Accumulate(x + other * row_floats, odd ? taps[0] : taps[3], row_floats,
                 row);
    }
    UpRow(row, width, channels, taps, out + o * 2 * row_floats);
  }
}

void FirFilter(const float* x, int64_t height, int64_t width, int64_t channels,
               const Taps& taps, int64_t pad, float* out) {
  const int64_t row_floats = width * channels;
  const int64_t out_height = height + 2 * pad - 3;
  const int64_t out_width = width + 2 * pad - 3;
  float* row = RowScratch(row_floats);
  for (int64_t o = 0; o < out_height; ++o) {
    CombineRows(x, height, row_floats, taps, o - pad, row);
    FilterRow(row, width, channels, taps, pad, /*stride=*/1, out_width,
              out + o * out_width * channels);
  }
}

}  // namespace ddgan::nhwc
