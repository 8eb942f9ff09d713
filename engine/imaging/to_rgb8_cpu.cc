#include "engine/imaging/to_rgb8_cpu.h"

#include <cstddef>

namespace ddgan {
namespace {

// Written as comparisons so that NaN falls through to -1. The sum is at least
// 0.5, so the conversion's rounding towards zero is floor. Compiled without
// contraction to a fused multiply-add, which would round once less.
uint8_t ToByte(float x) {
  const float clamped = x > -1.0f ? (x < 1.0f ? x : 1.0f) : -1.0f;
  const float scaled = (clamped + 1.0f) * 127.5f;
  return static_cast<uint8_t>(scaled + 0.5f);
}

}  // namespace

void ToRgb8Cpu(absl::Span<const float> planes, const ImageShape& shape,
               absl::Span<uint8_t> rows) {
  const size_t plane = size_t{1} * shape.height * shape.width;
  const size_t channels = shape.channels;
  for (size_t start = 0; start < planes.size(); start += channels * plane) {
    for (size_t c = 0; c < channels; ++c) {
      const float* from = planes.data() + start + c * plane;
      uint8_t* to = rows.data() + start + c;
      for (size_t i = 0; i < plane; ++i) to[i * channels] = ToByte(from[i]);
    }
  }
}

}  // namespace ddgan
