// The kernels of engine/kernels once more, as plain loops over one value at a
// time with std::fma: the same bits by the rule "one output, one chain".
#ifndef DDGAN_TESTS_ENGINE_KERNELS_SCALAR_REFERENCE_H_
#define DDGAN_TESTS_ENGINE_KERNELS_SCALAR_REFERENCE_H_

#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/kernels/convolution.h"
#include "engine/kernels/fir.h"

namespace ddgan::kernels::reference {

using Floats = std::vector<float>;

inline float Polynomial(float x, const std::vector<float>& c) {
  float sum = c.back();
  for (size_t i = c.size() - 1; i-- > 0;) sum = std::fma(sum, x, c[i]);
  return sum;
}

inline float PowerOfTwo(int n) { return std::bit_cast<float>((n + 127) << 23); }

// Of arguments whose result is neither subnormal nor infinite.
inline float Exp(float x) {
  if (x < -87.33654f) return 0;
  const float n = std::fma(x, 1.44269504f, 12582912.0f) - 12582912.0f;
  float r = std::fma(-n, 0.693359375f, x);
  r = std::fma(-n, -2.12194440e-4f, r);
  const int whole = static_cast<int>(n), half = whole >> 1;
  const float y = Polynomial(r, {1.0f, 1.0f, 0.5f, 1.0f / 6, 1.0f / 24,
                                 1.0f / 120, 1.0f / 720, 1.0f / 5040});
  return y * PowerOfTwo(half) * PowerOfTwo(whole - half);
}

inline float Sigmoid(float x) { return 1.0f / (1.0f + Exp(-x)); }

// c = start + a b: a [rows, depth], b [depth, columns], start [columns].
inline Floats Multiply(const Floats& a, const Floats& b, size_t depth,
                       const Floats& start) {
  const size_t columns = start.size(), rows = a.size() / depth;
  Floats c(rows * columns);
  for (size_t i = 0; i < rows; ++i) {
    for (size_t j = 0; j < columns; ++j) {
      float sum = start[j];
      for (size_t k = 0; k < depth; ++k) {
        sum = std::fma(a[i * depth + k], b[k * columns + j], sum);
      }
      c[i * columns + j] = sum;
    }
  }
  return c;
}

// Images NHWC, zeros beyond their edges.
struct Image {
  const float* values;
  int64_t size;
  int64_t channels;
  float At(int64_t y, int64_t x, int64_t c) const {
    return y < 0 || y >= size || x < 0 || x >= size
               ? 0.0f
               : values[(y * size + x) * channels + c];
  }
};

inline Floats DirectConvolution(const ConvolutionShape& shape,
                                const float* weight, const float* image,
                                const float* bias) {
  const Image in = {image, shape.size, shape.in};
  const int64_t size = shape.out_size(), kernel = shape.kernel;
  Floats out;
  for (int64_t y = 0; y < size; ++y) {
    for (int64_t x = 0; x < size; ++x) {
      for (int64_t o = 0; o < shape.out; ++o) {
        float sum = bias[o];
        for (int64_t i = 0; i < kernel; ++i) {
          for (int64_t j = 0; j < kernel; ++j) {
            for (int64_t c = 0; c < shape.in; ++c) {
              sum = std::fma(
                  in.At(y * shape.stride - shape.padding + i,
                        x * shape.stride - shape.padding + j, c),
                  weight[((o * shape.in + c) * kernel + i) * kernel + j], sum);
            }
          }
        }
        out.push_back(sum);
      }
    }
  }
  return out;
}

// B^T x and A^T x of Winograd's F(2, 3) and F(4, 3).
inline Floats WinogradInput(const Floats& x) {
  if (x.size() == 4) {
    return {x[0] - x[2], x[1] + x[2], x[2] - x[1], x[1] - x[3]};
  }
  const float even = std::fma(-4.0f, x[2], x[4]);
  const float odd = std::fma(-4.0f, x[1], x[3]);
  const float even2 = x[4] - x[2], odd2 = 2.0f * (x[3] - x[1]);
  return {std::fma(4.0f, x[0], std::fma(-5.0f, x[2], x[4])),
          even + odd,
          even - odd,
          even2 + odd2,
          even2 - odd2,
          std::fma(4.0f, x[1], std::fma(-5.0f, x[3], x[5]))};
}

inline Floats WinogradOutput(const Floats& x) {
  if (x.size() == 4) return {(x[0] + x[1]) + x[2], (x[1] - x[2]) - x[3]};
  const float sum1 = x[1] + x[2], difference1 = x[1] - x[2];
  const float sum2 = x[3] + x[4], difference2 = x[3] - x[4];
  return {(x[0] + sum1) + sum2, std::fma(2.0f, difference2, difference1),
          std::fma(4.0f, sum2, sum1),
          std::fma(8.0f, difference2, difference1) + x[5]};
}

// f along the columns of a square, then along its rows.
template <typename F>
std::vector<Floats> Transform(const std::vector<Floats>& square, const F& f) {
  const size_t e = square.size();
  std::vector<Floats> half;  // [column][row]
  for (size_t j = 0; j < e; ++j) {
    Floats column;
    for (size_t i = 0; i < e; ++i) column.push_back(square[i][j]);
    half.push_back(f(column));
  }
  std::vector<Floats> whole;
  for (size_t i = 0; i < half[0].size(); ++i) {
    Floats row;
    for (size_t j = 0; j < e; ++j) row.push_back(half[j][i]);
    whole.push_back(f(row));
  }
  return whole;
}

// G g G^T, of the matrices of Lavin and Gray, in double.
inline Floats WinogradFilter(int m, const float* g) {
  const std::vector<std::array<double, 3>> rows =
      m == 2
          ? std::vector<std::array<double, 3>>{{1, 0, 0},
                                               {0.5, 0.5, 0.5},
                                               {0.5, -0.5, 0.5},
                                               {0, 0, 1}}
          : std::vector<std::array<double, 3>>{{1.0 / 4, 0, 0},
                                               {-1.0 / 6, -1.0 / 6, -1.0 / 6},
                                               {-1.0 / 6, 1.0 / 6, -1.0 / 6},
                                               {1.0 / 24, 1.0 / 12, 1.0 / 6},
                                               {1.0 / 24, -1.0 / 12, 1.0 / 6},
                                               {0, 0, 1}};
  Floats out;
  for (const auto& a : rows) {
    for (const auto& b : rows) {
      double sum = 0;
      for (size_t k = 0; k < 3; ++k) {
        for (size_t l = 0; l < 3; ++l) {
          sum += a[k] * b[l] * static_cast<double>(g[k * 3 + l]);
        }
      }
      out.push_back(static_cast<float>(sum));
    }
  }
  return out;
}

inline Floats WinogradConvolution(const ConvolutionShape& shape, int m,
                                  const float* weight, const float* image,
                                  const float* bias) {
  const Image in = {image, shape.size, shape.in};
  const int e = m + 2;
  Floats out(static_cast<size_t>(shape.size * shape.size * shape.out));
  for (int64_t o = 0; o < shape.out; ++o) {
    std::vector<Floats> filters;
    for (int64_t c = 0; c < shape.in; ++c) {
      filters.push_back(WinogradFilter(m, weight + (o * shape.in + c) * 9));
    }
    for (int64_t top = 0; top < shape.size; top += m) {
      for (int64_t left = 0; left < shape.size; left += m) {
        std::vector<Floats> sums(static_cast<size_t>(e),
                                 Floats(static_cast<size_t>(e), 0.0f));
        for (int64_t c = 0; c < shape.in; ++c) {
          std::vector<Floats> tile;
          for (int i = 0; i < e; ++i) {
            tile.emplace_back();
            for (int j = 0; j < e; ++j) {
              tile.back().push_back(in.At(top - 1 + i, left - 1 + j, c));
            }
          }
          const auto v = Transform(tile, WinogradInput);
          for (size_t i = 0; i < v.size(); ++i) {
            for (size_t j = 0; j < v.size(); ++j) {
              sums[i][j] = std::fma(
                  v[i][j], filters[static_cast<size_t>(c)][i * v.size() + j],
                  sums[i][j]);
            }
          }
        }
        const auto y = Transform(sums, WinogradOutput);
        for (int i = 0; i < m; ++i) {
          for (int j = 0; j < m; ++j) {
            out[static_cast<size_t>(
                ((top + i) * shape.size + left + j) * shape.out + o)] =
                y[static_cast<size_t>(i)][static_cast<size_t>(j)] + bias[o];
          }
        }
      }
    }
  }
  return out;
}

// Of one image [pixels, channels].
inline Floats GroupNorm(const float* x, int64_t pixels, int64_t channels,
                        int64_t groups, const float* scale, const float* shift,
                        bool silu) {
  const int64_t of_group = channels / groups;
  const auto channel_sum = [&](int64_t c, const auto& term) {
    float chains[4] = {};
    for (int64_t p = 0; p < pixels; ++p) {
      chains[p % 4] = term(x[p * channels + c], chains[p % 4]);
    }
    return (chains[0] + chains[1]) + (chains[2] + chains[3]);
  };
  Floats y(static_cast<size_t>(pixels * channels));
  for (int64_t group = 0; group < groups; ++group) {
    const auto group_sum = [&](const auto& term) {
      double sum = 0;
      for (int64_t i = 0; i < of_group; ++i) {
        sum += static_cast<double>(channel_sum(group * of_group + i, term));
      }
      return sum / static_cast<double>(pixels * of_group);
    };
    const float mean = static_cast<float>(
        group_sum([](float value, float sum) { return sum + value; }));
    const double variance = group_sum([&](float value, float sum) {
      const float difference = value - mean;
      return std::fma(difference, difference, sum);
    });
    const float rstd = static_cast<float>(1.0 / std::sqrt(variance + 1e-6));
    for (int64_t c = group * of_group; c < (group + 1) * of_group; ++c) {
      const float factor = rstd * scale[c];
      const float offset = std::fma(-mean, factor, shift[c]);
      for (int64_t p = 0; p < pixels; ++p) {
        float value = std::fma(x[p * channels + c], factor, offset);
        if (silu) value *= Sigmoid(value);
        y[static_cast<size_t>(p * channels + c)] = value;
      }
    }
  }
  return y;
}

// Of one image.
inline Floats Fir(FirKind kind, const float* image, int64_t size,
                  int64_t channels, const Taps& taps) {
  const int64_t out_size = FirOutSize(kind, size);
  // The input that tap j reads for output o, or -1.
  const auto source = [&](int64_t o, int64_t j) -> int64_t {
    if (kind == FirKind::kDown) return 2 * o + j - 1;
    if (kind == FirKind::kSmooth) return o + j - 2;
    return (o + 1 - j) % 2 == 0 ? (o + 1 - j) / 2 : -1;
  };
  Floats y;
  for (int64_t row = 0; row < out_size; ++row) {
    for (int64_t column = 0; column < out_size; ++column) {
      for (int64_t c = 0; c < channels; ++c) {
        float sum = 0;
        for (int64_t i = 0; i < 4; ++i) {
          for (int64_t j = 0; j < 4; ++j) {
            const int64_t from_row = source(row, i);
            const int64_t from_column = source(column, j);
            if (from_row < 0 || from_row >= size || from_column < 0 ||
                from_column >= size) {
              continue;
            }
            sum = std::fma(
                image[(from_row * size + from_column) * channels + c],
                taps[static_cast<size_t>(i)] * taps[static_cast<size_t>(j)],
                sum);
          }
        }
        y.push_back(sum);
      }
    }
  }
  return y;
}

inline void Softmax(Floats* x) {
  float largest = (*x)[0];
  for (float value : *x) largest = std::fmax(largest, value);
  std::array<float, 16> chains = {};
  for (size_t j = 0; j < x->size(); ++j) {
    (*x)[j] = Exp((*x)[j] - largest);
    chains[j % 16] += (*x)[j];
  }
  for (size_t width = 8; width > 0; width /= 2) {
    for (size_t j = 0; j < width; ++j) chains[j] += chains[j + width];
  }
  for (float& value : *x) value /= chains[0];
}

// Of one image [pixels, 3 channels].
inline Floats Attend(const float* qkv, int64_t pixels, int64_t channels) {
  Floats y;
  for (int64_t q = 0; q < pixels; ++q) {
    Floats weights;
    for (int64_t k = 0; k < pixels; ++k) {
      float sum = 0;
      for (int64_t c = 0; c < channels; ++c) {
        sum = std::fma(qkv[q * 3 * channels + c],
                       qkv[(k * 3 + 1) * channels + c], sum);
      }
      weights.push_back(sum);
    }
    Softmax(&weights);
    for (int64_t c = 0; c < channels; ++c) {
      float sum = 0;
      for (int64_t k = 0; k < pixels; ++k) {
        sum = std::fma(weights[static_cast<size_t>(k)],
                       qkv[(k * 3 + 2) * channels + c], sum);
      }
      y.push_back(sum);
    }
  }
  return y;
}

}  // namespace ddgan::kernels::reference

#endif  // DDGAN_TESTS_ENGINE_KERNELS_SCALAR_REFERENCE_H_
