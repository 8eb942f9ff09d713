// Many small images as one PNG, for a person to look at. No LibTorch.
#ifndef DDGAN_TRAINER_PICTURES_SAMPLE_GRID_H_
#define DDGAN_TRAINER_PICTURES_SAMPLE_GRID_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "engine/api/generation.h"

namespace ddgan {

struct SampleGridOptions {
  // Images side by side. 0: as many as make the grid about square.
  int columns = 0;
  // Pixels between two images and around the outer ones.
  int gap = 2;
  // Value of the gap's and of empty places' pixels, in every channel.
  uint8_t background = 128;
};

struct SampleGrid {
  ImageShape shape;
  std::vector<uint8_t> pixels;  // Interleaved rows (H, W, C).
};

// `images` are whole images of `shape`, interleaved rows each, one after the
// other. They fill the grid row by row from the top left.
// InvalidArgument if there is none, if they are no whole images, or if shape
// or options make no sense.
absl::StatusOr<SampleGrid> ArrangeSamples(
    absl::Span<const uint8_t> images, const ImageShape& shape,
    const SampleGridOptions& options = {});

// The grid as PNG bytes.
absl::StatusOr<std::string> EncodeSampleGrid(
    absl::Span<const uint8_t> images, const ImageShape& shape,
    const SampleGridOptions& options = {});

}  // namespace ddgan

#endif  // DDGAN_TRAINER_PICTURES_SAMPLE_GRID_H_
