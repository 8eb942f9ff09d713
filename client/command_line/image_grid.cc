#include "client/command_line/image_grid.h"

#include <png.h>

#include <algorithm>
#include <cstddef>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace ddgan {
namespace {

constexpr uint64_t kGap = 2;
constexpr char kBackground = static_cast<char>(128);

uint64_t SmallestSquareSide(uint64_t count) {
  uint64_t side = 1;
  while (side * side < count) ++side;
  return side;
}

}  // namespace

absl::StatusOr<GridPicture> ArrangeGrid(absl::string_view pixels,
                                        const v1::ImageShape& shape) {
  const uint64_t channels = shape.channels();
  // Two 32-bit sides fit 64 bits; bounding them keeps the products below there.
  const uint64_t area = uint64_t{shape.height()} * shape.width();
  if ((channels != 1 && channels != 3) || area == 0 || area > kMaxGridBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("cannot arrange images of ", shape.width(), "x",
                     shape.height(), " with ", channels, " channels"));
  }
  const uint64_t image_bytes = area * channels;
  const uint64_t count = pixels.size() / image_bytes;
  if (count == 0 || pixels.size() % image_bytes != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(pixels.size(), " bytes are no whole number of images of ",
                     image_bytes));
  }
  const uint64_t columns = SmallestSquareSide(count);
  const uint64_t rows = (count + columns - 1) / columns;
  const uint64_t width = kGap + columns * (shape.width() + kGap);
  const uint64_t height = kGap + rows * (shape.height() + kGap);
  // Divided rather than multiplied: the product could pass 64 bits.
  if (height > kMaxGridBytes / (width * channels)) {
    return absl::InvalidArgumentError(
        absl::StrCat("a grid of ", count, " images would be ", width, "x",
                     height, " pixels, more than ", kMaxGridBytes, " bytes"));
  }

  GridPicture grid;
  grid.channels = shape.channels();
  grid.width = static_cast<uint32_t>(width);
  grid.height = static_cast<uint32_t>(height);
  const size_t grid_row_bytes = width * channels;
  const size_t row_bytes = shape.width() * channels;
  grid.pixels.assign(grid_row_bytes * height, kBackground);
  for (uint64_t i = 0; i < count; ++i) {
    const uint64_t top = kGap + i / columns * (shape.height() + kGap);
    const uint64_t left = kGap + i % columns * (shape.width() + kGap);
    const char* from = pixels.data() + i * image_bytes;
    char* to = grid.pixels.data() + top * grid_row_bytes + left * channels;
    for (uint32_t y = 0; y < shape.height(); ++y) {
      std::copy_n(from, row_bytes, to);
      from += row_bytes;
      to += grid_row_bytes;
    }
  }
  return grid;
}

absl::StatusOr<std::string> EncodePng(const GridPicture& picture) {
  png_image image = {};
  image.version = PNG_IMAGE_VERSION;
  image.width = picture.width;
  image.height = picture.height;
  image.format = picture.channels == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
  std::string png(PNG_IMAGE_PNG_SIZE_MAX(image), '\0');
  png_alloc_size_t size = png.size();
  if (!png_image_write_to_memory(&image, png.data(), &size,
                                 /*convert_to_8_bit=*/0, picture.pixels.data(),
                                 /*row_stride=*/0, /*colormap=*/nullptr)) {
    return absl::InternalError(
        absl::StrCat("cannot encode the grid as PNG: ", image.message));
  }
  png.resize(size);
  return png;
}

}  // namespace ddgan
