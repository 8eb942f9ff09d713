#include "engine/imaging/guide_picture.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "engine/imaging/triangle_resize.h"

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

}  // namespace

absl::StatusOr<std::vector<float>> FitGuide(const Picture& picture,
                                            const ImageShape& shape,
                                            GuideFit fit) {
  if (absl::Status s = Validate(picture, shape, fit); !s.ok()) return s;
  // Fewer values are less work, and gray is repeated at the end.
  const int channels = std::min(picture.shape.channels, shape.channels);
  const std::vector<float> values =
      TriangleResize({picture.shape.height, shape.height, 0, shape.height},
                     {picture.shape.width, shape.width, 0, shape.width},
                     channels, [&](int y, std::vector<float>* row) {
                       ReadRow(picture, y, channels, row);
                     });

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
