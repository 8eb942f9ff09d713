#include "trainer/evaluation/pictures/picture_source.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "trainer/dataset/encoded/jpeg_decoder.h"
#include "trainer/evaluation/pictures/jpeg_encoder.h"

namespace ddgan {

absl::Status CheckPictureRange(int64_t first, int64_t count, int64_t size) {
  if (first >= 0 && count >= 1 && count <= size && first <= size - count) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("pictures ", first, " to ", first + count - 1,
                   ", there are pictures 0 to ", size - 1));
}

std::string ShapeText(const ImageShape& shape) {
  return absl::StrCat(shape.channels, "x", shape.height, "x", shape.width);
}

const char* CodingName(PictureCoding coding) {
  return coding == PictureCoding::kPng ? "png" : "jpeg75";
}

absl::Status CodePictures(PictureCoding coding, const ImageShape& shape,
                          std::vector<uint8_t>* pictures) {
  if (coding == PictureCoding::kPng) return absl::OkStatus();
  const size_t bytes = PictureBytes(shape);
  for (size_t begin = 0; begin + bytes <= pictures->size(); begin += bytes) {
    const absl::StatusOr<std::string> file = EncodeJpeg(
        absl::MakeConstSpan(*pictures).subspan(begin, bytes), shape, 75);
    if (!file.ok()) return file.status();
    const absl::StatusOr<Picture> decoded = DecodeJpeg(*file);
    if (!decoded.ok()) return decoded.status();
    if (decoded->pixels.size() != bytes) {
      return absl::InternalError("libjpeg gave a picture of another size");
    }
    std::copy(decoded->pixels.begin(), decoded->pixels.end(),
              pictures->begin() + static_cast<int64_t>(begin));
  }
  return absl::OkStatus();
}

}  // namespace ddgan
