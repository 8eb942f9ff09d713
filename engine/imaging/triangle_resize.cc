#include "engine/imaging/triangle_resize.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>

namespace ddgan {
namespace {

// The pixels [first, first + weights.size()) that one pixel of the result is
// made of.
struct Taps {
  int first = 0;
  std::vector<float> weights;
};

std::vector<Taps> TriangleFilter(const ResizedSide& side) {
  const int64_t n = side.from;
  const int64_t m = side.to;
  const int64_t peak = 2 * std::max(n, m);
  std::vector<Taps> filter(side.count);
  for (int64_t i = 0; i < side.count; ++i) {
    const int64_t x = side.first + i;
    const auto weight = [&](int64_t j) {
      return peak - std::abs((2 * j + 1) * m - (2 * x + 1) * n);
    };
    // The pixel under x's centre has a weight; its neighbours may have.
    int64_t first = (2 * x + 1) * n / (2 * m);
    int64_t last = first;
    int64_t sum = weight(first);
    while (first > 0 && weight(first - 1) > 0) sum += weight(--first);
    while (last + 1 < n && weight(last + 1) > 0) sum += weight(++last);
    Taps& taps = filter[i];
    taps.first = static_cast<int>(first);
    taps.weights.reserve(last - first + 1);
    for (int64_t j = first; j <= last; ++j) {
      taps.weights.push_back(static_cast<float>(weight(j)) /
                             static_cast<float>(sum));
    }
  }
  return filter;
}

// Appends filter.size() pixels of kChannels values to `resized`.
template <int kChannels>
void ResizeRow(const std::vector<float>& row, const std::vector<Taps>& filter,
               std::vector<float>* resized) {
  for (const Taps& taps : filter) {
    const float* from = row.data() + size_t{1} * taps.first * kChannels;
    float sums[kChannels] = {};
    for (const float weight : taps.weights) {
      for (float& sum : sums) sum += weight * *from++;
    }
    resized->insert(resized->end(), sums, sums + kChannels);
  }
}

// `rows` of `size` values each, of which the first is row `first_row`; the
// result has filter.size() of them.
std::vector<float> ResizeColumns(const std::vector<float>& rows, int first_row,
                                 size_t size, const std::vector<Taps>& filter) {
  std::vector<float> resized(filter.size() * size, 0.0f);
  float* to = resized.data();
  for (const Taps& taps : filter) {
    const float* from = rows.data() + (taps.first - first_row) * size;
    for (const float weight : taps.weights) {
      for (size_t i = 0; i < size; ++i) to[i] += weight * from[i];
      from += size;
    }
    to += size;
  }
  return resized;
}

}  // namespace

std::vector<float> TriangleResize(
    const ResizedSide& y, const ResizedSide& x, int channels,
    absl::FunctionRef<void(int y, std::vector<float>* row)> read_row) {
  const std::vector<Taps> horizontal = TriangleFilter(x);
  const std::vector<Taps> vertical = TriangleFilter(y);
  const int first_row = vertical.front().first;
  const int end_row =
      vertical.back().first + static_cast<int>(vertical.back().weights.size());
  const size_t row_size = size_t{1} * x.count * channels;
  std::vector<float> row;
  std::vector<float> rows;
  rows.reserve((end_row - first_row) * row_size);
  for (int i = first_row; i < end_row; ++i) {
    read_row(i, &row);
    if (channels == 3) {
      ResizeRow<3>(row, horizontal, &rows);
    } else {
      ResizeRow<1>(row, horizontal, &rows);
    }
  }
  return ResizeColumns(rows, first_row, row_size, vertical);
}

}  // namespace ddgan
