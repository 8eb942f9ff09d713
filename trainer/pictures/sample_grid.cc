#include "trainer/pictures/sample_grid.h"

#include <algorithm>
#include <cstddef>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "engine/imaging/png_encoder.h"

namespace ddgan {
namespace {

// Bounds keep every size below in 64 bits; a picture near them is no use to a
// person anyway.
constexpr int kMaxSide = 16384;
constexpr int kMaxGap = 256;
constexpr size_t kMaxImages = 65536;

size_t SmallestSquareSide(size_t count) {
  size_t side = 1;
  while (side * side < count) ++side;
  return side;
}

}  // namespace

absl::StatusOr<SampleGrid> ArrangeSamples(absl::Span<const uint8_t> images,
                                          const ImageShape& shape,
                                          const SampleGridOptions& options) {
  if (shape.channels < 1 || shape.channels > 4 || shape.height < 1 ||
      shape.height > kMaxSide || shape.width < 1 || shape.width > kMaxSide) {
    return absl::InvalidArgumentError(
        absl::StrCat("grid: images of ", shape.width, "x", shape.height,
                     " with ", shape.channels, " channels; sides are in [1, ",
                     kMaxSide, "], channels in [1, 4]"));
  }
  if (options.columns < 0 || options.gap < 0 || options.gap > kMaxGap) {
    return absl::InvalidArgumentError(absl::StrCat(
        "grid: ", options.columns, " columns, gap ", options.gap,
        "; columns must not be negative, gap must be in [0, ", kMaxGap, "]"));
  }
  const size_t row_bytes = size_t{1} * shape.width * shape.channels;
  const size_t image_bytes = row_bytes * shape.height;
  const size_t count = images.size() / image_bytes;
  if (count < 1 || count > kMaxImages || images.size() % image_bytes != 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "grid: ", images.size(), " bytes for images of ", image_bytes,
        " each; wanted 1 to ", kMaxImages, " whole images"));
  }

  const size_t columns =
      options.columns == 0
          ? SmallestSquareSide(count)
          : std::min(static_cast<size_t>(options.columns), count);
  const size_t rows = (count + columns - 1) / columns;
  const size_t gap = options.gap;
  SampleGrid grid;
  grid.shape = {shape.channels,
                static_cast<int>(gap + rows * (shape.height + gap)),
                static_cast<int>(gap + columns * (shape.width + gap))};
  const size_t grid_row_bytes = size_t{1} * grid.shape.width * shape.channels;
  grid.pixels.assign(grid_row_bytes * grid.shape.height, options.background);
  for (size_t i = 0; i < count; ++i) {
    const size_t top = gap + i / columns * (shape.height + gap);
    const size_t left = gap + i % columns * (shape.width + gap);
    const uint8_t* from = images.data() + i * image_bytes;
    uint8_t* to =
        grid.pixels.data() + top * grid_row_bytes + left * shape.channels;
    for (int y = 0; y < shape.height; ++y) {
      std::copy_n(from, row_bytes, to);
      from += row_bytes;
      to += grid_row_bytes;
    }
  }
  return grid;
}

absl::StatusOr<std::string> EncodeSampleGrid(absl::Span<const uint8_t> images,
                                             const ImageShape& shape,
                                             const SampleGridOptions& options) {
  const absl::StatusOr<SampleGrid> grid =
      ArrangeSamples(images, shape, options);
  if (!grid.ok()) return grid.status();
  return EncodePng(grid->pixels, grid->shape);
}

}  // namespace ddgan
