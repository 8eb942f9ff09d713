// The CPU version behind ToRgb8, over plain memory. No LibTorch.
#ifndef DDGAN_ENGINE_IMAGING_TO_RGB8_CPU_H_
#define DDGAN_ENGINE_IMAGING_TO_RGB8_CPU_H_

#include <cstdint>

#include "absl/types/span.h"
#include "engine/api/generation.h"

namespace ddgan {

// Converts whole images of `shape`, one after the other: planes (C, H, W) in
// `planes` to interleaved rows (H, W, C) in `rows`. Both have the same number
// of elements, a multiple of channels * height * width; the caller sees to it.
// Uses the calling thread alone. Thread-safe.
void ToRgb8Cpu(absl::Span<const float> planes, const ImageShape& shape,
               absl::Span<uint8_t> rows);

}  // namespace ddgan

#endif  // DDGAN_ENGINE_IMAGING_TO_RGB8_CPU_H_
