#include "trainer/evaluation/features/picture_network.h"

#include <ATen/Parallel.h>
#include <ATen/ops/from_blob.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/base/libtorch_errors.h"

namespace ddgan {
namespace {

// Far above any picture that is trained on; keeps sizes from overflowing.
constexpr int kMaxSide = 8192;

absl::Status CheckPictures(absl::Span<const uint8_t> pixels,
                           const ImageShape& shape) {
  if ((shape.channels != 1 && shape.channels != 3) || shape.height < 1 ||
      shape.height > kMaxSide || shape.width != shape.height) {
    return absl::InvalidArgumentError(absl::StrCat(
        "pictures are ", shape.channels, "x", shape.height, "x", shape.width,
        ", must be square, of 1 or 3 channels and at most ", kMaxSide,
        " pixels wide"));
  }
  const size_t bytes = size_t{1} * shape.channels * shape.height * shape.width;
  if (pixels.empty() || pixels.size() % bytes != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("pixels has ", pixels.size(),
                     " bytes, must be a multiple of ", bytes, " and not 0"));
  }
  return absl::OkStatus();
}

bool IsFinite(const std::vector<float>& values) {
  return std::all_of(values.begin(), values.end(),
                     [](float value) { return std::isfinite(value); });
}

}  // namespace

absl::StatusOr<PictureFeatures> PictureNetwork::Run(
    absl::Span<const uint8_t> pixels, const ImageShape& shape) const {
  if (absl::Status s = CheckPictures(pixels, shape); !s.ok()) return s;
  if (absl::Status s = CheckShape(shape); !s.ok()) return s;
  const size_t bytes = size_t{1} * shape.channels * shape.height * shape.width;
  const int64_t count = static_cast<int64_t>(pixels.size() / bytes);
  const auto work = [&]() -> absl::StatusOr<PictureFeatures> {
    at::init_num_threads();  // Each of the caller's threads has its own number.
    const at::NoGradGuard no_grad;
    PictureFeatures all;
    all.features.reserve(count * feature_count());
    all.probabilities.reserve(count * class_count());
    for (int64_t i = 0; i < count; ++i) {
      at::Tensor picture =
          at::from_blob(const_cast<uint8_t*>(&pixels[i * bytes]),
                        {1, shape.height, shape.width, shape.channels},
                        at::TensorOptions(at::kByte))
              .permute({0, 3, 1, 2});
      if (description_.wants_colour && shape.channels == 1) {
        picture = picture.expand({1, 3, shape.height, shape.width});
      }
      // A copy: a network may work in place.
      const absl::StatusOr<PictureFeatures> rows =
          Look(picture.clone(at::MemoryFormat::Contiguous));
      if (!rows.ok()) return rows.status();
      if (absl::Status s = CheckRows(*rows, i); !s.ok()) return s;
      all.features.insert(all.features.end(), rows->features.begin(),
                          rows->features.end());
      all.probabilities.insert(all.probabilities.end(),
                               rows->probabilities.begin(),
                               rows->probabilities.end());
    }
    return all;
  };
  return CatchingLibTorch(name(), work);
}

absl::Status PictureNetwork::CheckRows(const PictureFeatures& rows,
                                       int64_t picture) const {
  const int64_t features = static_cast<int64_t>(rows.features.size());
  const int64_t classes = static_cast<int64_t>(rows.probabilities.size());
  if (features != feature_count() || classes != class_count()) {
    return absl::InternalError(
        absl::StrCat(name(), ": ", features, " features and ", classes,
                     " classes of picture ", picture, ", must be ",
                     feature_count(), " and ", class_count()));
  }
  if (!IsFinite(rows.features) || !IsFinite(rows.probabilities)) {
    return absl::InternalError(absl::StrCat(name(), ": its output for picture ",
                                            picture, " is not finite"));
  }
  return absl::OkStatus();
}

std::vector<float> ValuesOf(const at::Tensor& tensor) {
  const at::Tensor values = tensor.to(at::kCPU, at::kFloat).contiguous();
  const float* const data = values.const_data_ptr<float>();
  return std::vector<float>(data, data + values.numel());
}

}  // namespace ddgan
