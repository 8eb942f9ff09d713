#include "engine/imaging/to_rgb8.h"

#include <ATen/ops/empty.h>
#include <c10/core/MemoryFormat.h>

#include <cstddef>
#include <cstdint>
#include <sstream>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "engine/api/generation.h"
#include "engine/base/libtorch_errors.h"
#include "engine/imaging/to_rgb8_cpu.h"
#include "engine/imaging/to_rgb8_gpu.h"

namespace ddgan {
namespace {

absl::Status Validate(const at::Tensor& images) {
  if (!images.defined() || images.scalar_type() != at::kFloat ||
      images.dim() != 4 || images.numel() == 0 ||
      (images.size(1) != 1 && images.size(1) != 3)) {
    std::ostringstream found;
    if (images.defined()) {
      found << images.scalar_type() << ' ' << images.sizes();
    } else {
      found << "nothing";
    }
    return absl::InvalidArgumentError(
        absl::StrCat("cannot convert ", found.str(),
                     " to pixels: wanted float32 [N, 1 or 3, H, W]"));
  }
  if (!images.is_cpu() && !images.is_cuda()) {
    return absl::UnimplementedError(absl::StrCat("cannot convert images on a ",
                                                 images.device().str(),
                                                 " device to pixels"));
  }
  return absl::OkStatus();
}

absl::StatusOr<at::Tensor> Convert(const at::Tensor& images) {
  const int64_t count = images.size(0);
  int64_t channels = images.size(1);
  int64_t pixels = images.size(2) * images.size(3);
  at::Tensor rows = at::empty({count, images.size(2), images.size(3), channels},
                              images.options().dtype(at::kByte));
  at::Tensor planes = images;
  if (images.is_contiguous(at::MemoryFormat::ChannelsLast)) {
    // Interleaved already: as good as one plane with all the elements.
    pixels *= channels;
    channels = 1;
  } else {
    planes = images.contiguous();
  }

  const float* from = planes.const_data_ptr<float>();
  uint8_t* to = rows.mutable_data_ptr<uint8_t>();
  if (images.is_cpu()) {
    const size_t elements = images.numel();
    const ImageShape shape{static_cast<int>(channels), 1,
                           static_cast<int>(pixels)};
    ToRgb8Cpu(absl::MakeSpan(from, elements), shape,
              absl::MakeSpan(to, elements));
    return rows;
  }
  const absl::Status status =
      ToRgb8Gpu(from, count, channels, pixels, to, images.get_device());
  if (!status.ok()) return status;
  return rows;
}

}  // namespace

absl::StatusOr<at::Tensor> ToRgb8(const at::Tensor& images) {
  return CatchingLibTorch(
      "converting images to pixels", [&]() -> absl::StatusOr<at::Tensor> {
        if (absl::Status valid = Validate(images); !valid.ok()) return valid;
        return Convert(images);
      });
}

}  // namespace ddgan
