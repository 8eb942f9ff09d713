#include "engine/imaging/guide_picture.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "engine/imaging/triangle_resize.h"

namespace ddgan {
namespace {

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

absl::Status CheckGuideShape(const ImageShape& picture, const ImageShape& shape,
                             GuideFit fit) {
  if ((picture.channels != 1 && picture.channels != 3) || picture.height < 1 ||
      picture.width < 1) {
    return absl::InvalidArgumentError(absl::StrCat(
        "guide: ", picture.width, "x", picture.height, " pixels with ",
        picture.channels,
        " channels are no picture; allowed are 1 or 3 channels of at least one "
        "pixel"));
  }
  if (fit == GuideFit::kRefuse &&
      (picture.height != shape.height || picture.width != shape.width)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "guide: the picture is ", picture.width, "x", picture.height,
        " pixels, the model's images are ", shape.width, "x", shape.height,
        "; it has to have their size unless it is to be resized"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<float>> FitGuide(const Picture& picture,
                                            const ImageShape& shape,
                                            GuideFit fit) {
  if (absl::Status s = CheckGuideShape(picture.shape, shape, fit); !s.ok()) {
    return s;
  }
  if (picture.pixels.size() != picture.shape.numel()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "guide: ", picture.pixels.size(), " bytes are no picture of ",
        picture.shape.width, "x", picture.shape.height, " pixels with ",
        picture.shape.channels, " channels"));
  }
  // Fewer values are less work, and gray is repeated at the end.
  const int channels = std::min(picture.shape.channels, shape.channels);
  const std::vector<float> values =
      TriangleResize({picture.shape.height, shape.height, 0, shape.height},
                     {picture.shape.width, shape.width, 0, shape.width},
                     channels, [&](int y, std::vector<float>* row) {
                       ReadRow(picture, y, channels, row);
                     });

  std::vector<float> planes;
  planes.reserve(shape.numel());
  for (int c = 0; c < shape.channels; ++c) {
    for (size_t i = channels == 1 ? 0 : c; i < values.size(); i += channels) {
      // A sum of rounded weights may pass 255 by a rounding.
      planes.push_back(std::min(values[i] / 127.5f - 1.0f, 1.0f));
    }
  }
  return planes;
}

}  // namespace ddgan
