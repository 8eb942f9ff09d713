#include "engine/imaging/guide_picture.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace ddgan {
namespace {

absl::Status Validate(const Picture& picture, const ImageShape& shape,
                      GuideFit fit) {
  const ImageShape& found = picture.shape;
  if ((found.channels != 1 && found.channels != 3) || found.height < 1 ||
      found.width < 1 ||
      picture.pixels.size() !=
          size_t{1} * found.channels * found.height * found.width) {
    return absl::InvalidArgumentError(absl::StrCat(
        "guide: ", picture.pixels.size(), " bytes are no picture of ",
        found.width, "x", found.height, " pixels with ", found.channels,
        " channels, of which 1 and 3 are allowed"));
  }
  if (fit == GuideFit::kRefuse &&
      (found.height != shape.height || found.width != shape.width)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "guide: the picture is ", found.width, "x", found.height,
        " pixels, the model's images are ", shape.width, "x", shape.height,
        "; it has to have their size unless it is to be resized"));
  }
  return absl::OkStatus();
}

// Row `y`, interleaved: `channels` values per pixel, which are the picture's
// own or, of RGB, 1 for its luma.
void ReadRow(const Picture& picture, int y, int channels,
             std::vector<float>* row) {
  const size_t size = size_t{1} * picture.shape.width * picture.shape.channels;
  const uint8_t* from = picture.pixels.data() + y * size;
  if (channels == picture.shape.channels) {
    row->assign(from, from + size);
    return;
  }
  row->clear();
  for (size_t i = 0; i < size; i += 3) {
    row->push_back(0.299f * from[i] + 0.587f * from[i + 1] +
                   0.114f * from[i + 2]);
  }
}

// The pixels [first, first + weights.size()) that one pixel of the result is
// made of.
struct Taps {
  int first = 0;
  std::vector<float> weights;
};

std::vector<Taps> TriangleFilter(int from_size, int to_size) {
  const int64_t n = from_size;
  const int64_t m = to_size;
  const int64_t peak = 2 * std::max(n, m);
  std::vector<Taps> filter(to_size);
  for (int64_t x = 0; x < m; ++x) {
    const auto weight = [&](int64_t j) {
      return peak - std::abs((2 * j + 1) * m - (2 * x + 1) * n);
    };
    // The pixel under x's centre has a weight; its neighbours may have.
    int64_t first = (2 * x + 1) * n / (2 * m);
    int64_t last = first;
    int64_t sum = weight(first);
    while (first > 0 && weight(first - 1) > 0) sum += weight(--first);
    while (last + 1 < n && weight(last + 1) > 0) sum += weight(++last);
    Taps& taps = filter[x];
    taps.first = static_cast<int>(first);
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

// `rows` of `size` values each; the result has filter.size() of them.
std::vector<float> ResizeColumns(const std::vector<float>& rows, size_t size,
                                 const std::vector<Taps>& filter) {
  std::vector<float> resized(filter.size() * size, 0.0f);
  float* to = resized.data();
  for (const Taps& taps : filter) {
    const float* from = rows.data() + taps.first * size;
    for (const float weight : taps.weights) {
      for (size_t i = 0; i < size; ++i) to[i] += weight * from[i];
      from += size;
    }
    to += size;
  }
  return resized;
}

}  // namespace

absl::StatusOr<std::vector<float>> FitGuide(const Picture& picture,
                                            const ImageShape& shape,
                                            GuideFit fit) {
  if (absl::Status s = Validate(picture, shape, fit); !s.ok()) return s;
  // Fewer values are less work, and gray is repeated at the end. The filter of
  // a side that keeps its size has one weight per pixel, which is 1.
  const int channels = std::min(picture.shape.channels, shape.channels);
  const std::vector<Taps> horizontal =
      TriangleFilter(picture.shape.width, shape.width);
  const size_t row_size = size_t{1} * shape.width * channels;
  std::vector<float> row;
  std::vector<float> rows;
  rows.reserve(picture.shape.height * row_size);
  for (int y = 0; y < picture.shape.height; ++y) {
    ReadRow(picture, y, channels, &row);
    if (channels == 3) {
      ResizeRow<3>(row, horizontal, &rows);
    } else {
      ResizeRow<1>(row, horizontal, &rows);
    }
  }
  const std::vector<float> values = ResizeColumns(
      rows, row_size, TriangleFilter(picture.shape.height, shape.height));

  std::vector<float> planes;
  planes.reserve(size_t{1} * shape.channels * shape.height * shape.width);
  for (int c = 0; c < shape.channels; ++c) {
    for (size_t i = channels == 1 ? 0 : c; i < values.size(); i += channels) {
      // A sum of rounded weights may pass 255 by a rounding.
      planes.push_back(std::min(values[i] / 127.5f - 1.0f, 1.0f));
    }
  }
  return planes;
}

}  // namespace ddgan
