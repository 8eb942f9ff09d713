// Many small images as one picture.
#ifndef DDGAN_CLIENT_COMMAND_LINE_IMAGE_GRID_H_
#define DDGAN_CLIENT_COMMAND_LINE_IMAGE_GRID_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "ddgan/v1/model.pb.h"

namespace ddgan {

// 8-bit pixels in interleaved rows (height, width, channels).
struct GridPicture {
  uint32_t channels = 0;
  uint32_t width = 0;
  uint32_t height = 0;
  std::string pixels;
};

// Most bytes that a grid may hold.
inline constexpr uint64_t kMaxGridBytes = uint64_t{1} << 30;

// `pixels` are whole images of `shape`, as OUTPUT_FORMAT_RAW8 gives them, one
// after the other. They fill an about square grid row by row, with 2 pixels of
// gray between and around them. Pure.
// InvalidArgument if there is none, they are no whole images, `shape` is not
// 1 or 3 channels, or the grid would be larger than kMaxGridBytes.
absl::StatusOr<GridPicture> ArrangeGrid(absl::string_view pixels,
                                        const v1::ImageShape& shape);

// Internal if libpng fails. `picture` has 1 or 3 channels.
absl::StatusOr<std::string> EncodePng(const GridPicture& picture);

}  // namespace ddgan

#endif  // DDGAN_CLIENT_COMMAND_LINE_IMAGE_GRID_H_
