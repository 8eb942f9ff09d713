// Where the pixels of a step come to lie in host memory.
#ifndef DDGAN_ENGINE_LANES_GPU_PIXEL_LAYOUT_H_
#define DDGAN_ENGINE_LANES_GPU_PIXEL_LAYOUT_H_

#include <cstdint>

#include "absl/types/span.h"
#include "engine/lanes/step_backend.h"

namespace ddgan {

// One block of memory for all pictures that leave a step: for each kind of
// picture that some row asks for, that picture of every row, in order of the
// batch. So the device copies a few long pieces instead of one per row.
class PixelLayout {
 public:
  enum Kind { kX8, kX32, kPreview8, kPreview32, kKinds };

  static Kind KindOf(PixelFormat format, bool preview) {
    if (format == PixelFormat::kUint8) return preview ? kPreview8 : kX8;
    return preview ? kPreview32 : kX32;
  }

  // `count` is the rows of the batch, padding included; `numel` the values of
  // an image.
  PixelLayout(absl::Span<const BackendRow> rows, int64_t count, int64_t numel)
      : numel_(numel) {
    bool wanted[kKinds] = {};
    for (const BackendRow& row : rows) {
      if (row.image != nullptr) wanted[KindOf(row.pixel_format, false)] = true;
      if (row.preview != nullptr) wanted[KindOf(row.pixel_format, true)] = true;
    }
    for (int kind = 0; kind < kKinds; ++kind) {
      if (!wanted[kind]) continue;
      offset_[kind] = size_;
      // The next kind's floats begin at a multiple of their size.
      const int64_t bytes = count * RowBytes(static_cast<Kind>(kind));
      size_ += (bytes + 15) / 16 * 16;
    }
  }

  bool Wanted(Kind kind) const { return offset_[kind] >= 0; }
  // Bytes of one row's picture.
  int64_t RowBytes(Kind kind) const {
    const bool floats = kind == kX32 || kind == kPreview32;
    return numel_ * (floats ? static_cast<int64_t>(sizeof(float)) : 1);
  }
  // From the start of the block. The kind is wanted.
  int64_t Offset(Kind kind, int64_t row) const {
    return offset_[kind] + row * RowBytes(kind);
  }
  int64_t size() const { return size_; }  // Bytes of the block.

 private:
  const int64_t numel_;
  int64_t offset_[kKinds] = {-1, -1, -1, -1};  // -1: nobody asks for it.
  int64_t size_ = 0;
};

}  // namespace ddgan

#endif  // DDGAN_ENGINE_LANES_GPU_PIXEL_LAYOUT_H_
