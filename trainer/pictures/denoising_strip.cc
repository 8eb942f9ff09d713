#include "trainer/pictures/denoising_strip.h"

#include <algorithm>
#include <cstddef>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "engine/imaging/png_encoder.h"

namespace ddgan {
namespace {

// Odd, so that a line of one pixel is in its middle.
constexpr int kGap = 5;
constexpr uint8_t kBackground = 255;
constexpr uint8_t kLine = 160;

// A line in the middle of the gap on the left of grid column `column`, as long
// as the images reach.
void DrawLine(size_t column, const ImageShape& shape, SampleGrid* strip) {
  const size_t channels = shape.channels;
  const size_t x = column * (shape.width + kGap) + kGap / 2;
  for (int y = kGap; y < strip->shape.height - kGap; ++y) {
    std::fill_n(strip->pixels.begin() +
                    (size_t{1} * y * strip->shape.width + x) * channels,
                channels, kLine);
  }
}

}  // namespace

absl::StatusOr<SampleGrid> ArrangeDenoisingStrip(
    absl::Span<const std::vector<uint8_t>> columns, const ImageShape& shape) {
  if (columns.size() < 3 || columns.size() % 2 == 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "strip: ", columns.size(),
        " columns; wanted an odd number of at least 3, x_T to x_0"));
  }
  for (const std::vector<uint8_t>& column : columns) {
    if (column.size() != columns[0].size()) {
      return absl::InvalidArgumentError(
          absl::StrCat("strip: columns of ", columns[0].size(), " and ",
                       column.size(), " bytes; all must be alike"));
    }
  }
  if (shape.channels < 1 || shape.height < 1 || shape.width < 1) {
    return ArrangeSamples({}, shape).status();
  }

  const size_t image_bytes = shape.numel();
  if (columns[0].size() % image_bytes != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("strip: columns of ", columns[0].size(),
                     " bytes for images of ", image_bytes, " each"));
  }

  // The grid is filled row by row: one trajectory after the other.
  std::vector<uint8_t> images;
  images.reserve(columns.size() * columns[0].size());
  for (size_t begin = 0; begin < columns[0].size(); begin += image_bytes) {
    for (const std::vector<uint8_t>& column : columns) {
      images.insert(images.end(), column.data() + begin,
                    column.data() + begin + image_bytes);
    }
  }
  SampleGridOptions options;
  options.columns = static_cast<int>(columns.size());
  options.gap = kGap;
  options.background = kBackground;
  absl::StatusOr<SampleGrid> strip = ArrangeSamples(images, shape, options);
  if (!strip.ok()) return strip.status();
  for (size_t column = 2; column < columns.size(); column += 2) {
    DrawLine(column, shape, &*strip);
  }
  return strip;
}

absl::StatusOr<std::string> EncodeDenoisingStrip(
    absl::Span<const std::vector<uint8_t>> columns, const ImageShape& shape) {
  const absl::StatusOr<SampleGrid> strip =
      ArrangeDenoisingStrip(columns, shape);
  if (!strip.ok()) return strip.status();
  return EncodePng(strip->pixels, strip->shape);
}

}  // namespace ddgan
