#include "trainer/dataset/encoded_dataset.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "trainer/dataset/image_decoder.h"

namespace ddgan {

EncodedDataset::EncodedDataset(std::unique_ptr<const EncodedImages> images,
                               const ImageShape& shape, RawValues raw_values)
    : images_(std::move(images)), shape_(shape), raw_values_(raw_values) {}

absl::Status EncodedDataset::Image(size_t index,
                                   absl::Span<uint8_t> pixels) const {
  const size_t image_bytes = shape_.numel();
  if (index >= size()) {
    return absl::OutOfRangeError(absl::StrCat("image ", index, " of ", size()));
  }
  if (pixels.size() != image_bytes) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a buffer of ", pixels.size(), " bytes for an image of ", image_bytes));
  }
  const auto named = [&](const absl::Status& status) {
    return absl::Status(status.code(), absl::StrCat(images_->Name(index), ": ",
                                                    status.message()));
  };
  std::string scratch;
  const absl::StatusOr<std::string_view> bytes = images_->Read(index, &scratch);
  if (!bytes.ok()) return named(bytes.status());
  if (raw_values_ == RawValues::kAllowed && bytes->size() == image_bytes &&
      !IsEncodedImage(*bytes)) {
    std::copy(bytes->begin(), bytes->end(), pixels.begin());
    return absl::OkStatus();
  }
  const absl::StatusOr<Picture> picture = DecodeImage(*bytes);
  if (!picture.ok()) return named(picture.status());
  if (absl::Status s = ResizeCrop(*picture, shape_, pixels); !s.ok()) {
    return named(s);
  }
  return absl::OkStatus();
}

}  // namespace ddgan
