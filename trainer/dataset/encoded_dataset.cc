#include "trainer/dataset/encoded_dataset.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace ddgan {
namespace {

constexpr const char* kKindNames[] = {"gray", "RGB with alpha",
                                      "gray with alpha"};

}  // namespace

EncodedDataset::EncodedDataset(std::unique_ptr<const EncodedImages> images,
                               const ImageShape& shape, RawValues raw_values,
                               Conversion conversion)
    : images_(std::move(images)),
      shape_(shape),
      raw_values_(raw_values),
      conversion_(conversion) {}

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
  const absl::StatusOr<DecodedImage> image = DecodeImage(*bytes);
  if (!image.ok()) return named(image.status());
  if (absl::Status s = Admit(index, *image); !s.ok()) return named(s);
  if (absl::Status s = Fit(image->picture, pixels); !s.ok()) return named(s);
  return absl::OkStatus();
}

absl::Status EncodedDataset::Admit(size_t index,
                                   const DecodedImage& image) const {
  const bool is_gray = image.picture.shape.channels == 1;
  if (shape_.channels != 3 || (!is_gray && !image.has_alpha)) {
    return absl::OkStatus();
  }
  const Kind kind = !is_gray ? kAlpha : image.has_alpha ? kGrayAlpha : kGray;
  {
    absl::MutexLock lock(&mu_);
    if (counted_.empty()) counted_.resize(size());
    if (!counted_[index]) ++counts_[kind];
    counted_[index] = true;
  }
  if (conversion_ == Conversion::kToRgb) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("the picture is ", kKindNames[kind],
                   ", the model's images are RGB; convert=rgb takes it"));
}

absl::Status EncodedDataset::Fit(const Picture& picture,
                                 absl::Span<uint8_t> pixels) const {
  if (picture.shape.channels == shape_.channels || shape_.channels != 3) {
    return ResizeCrop(picture, shape_, pixels);
  }
  std::vector<uint8_t> gray(pixels.size() / 3);
  if (absl::Status s = ResizeCrop(picture, {1, shape_.height, shape_.width},
                                  absl::MakeSpan(gray));
      !s.ok()) {
    return s;
  }
  for (size_t i = 0; i < gray.size(); ++i) {
    std::fill_n(pixels.begin() + 3 * i, 3, gray[i]);
  }
  return absl::OkStatus();
}

std::string EncodedDataset::Remarks() const {
  std::vector<std::string> kinds;
  absl::MutexLock lock(&mu_);
  for (size_t kind = 0; kind < counts_.size(); ++kind) {
    if (counts_[kind] > 0) {
      kinds.push_back(absl::StrCat(counts_[kind], " ", kKindNames[kind]));
    }
  }
  if (kinds.empty()) return "";
  return absl::StrCat(
      absl::StrJoin(kinds, ", "), " so far of ", size(), " pictures ",
      conversion_ == Conversion::kToRgb
          ? "converted to RGB"
          : "not used, since the model's images are RGB; convert=rgb takes "
            "them");
}

}  // namespace ddgan
