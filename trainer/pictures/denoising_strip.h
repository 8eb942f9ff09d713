// How images come about, step by step, as one PNG for a person to look at. No
// LibTorch.
#ifndef DDGAN_TRAINER_PICTURES_DENOISING_STRIP_H_
#define DDGAN_TRAINER_PICTURES_DENOISING_STRIP_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "engine/api/generation.h"
#include "trainer/pictures/sample_grid.h"

namespace ddgan {

// One row for each image, one column for each of x_T, x0', x_{T-1}, x0', ...,
// x0', x_0, where x0' is what the generator made of the x_t on its left. Of
// many steps some may be left out. On white, with a thin gray line between one
// step and the next.
//
// `columns` are these in that order, an odd number of at least 3; each
// holds all images in the same order, whole images of `shape` as interleaved
// rows (H, W, C), one after the other.
// InvalidArgument if the columns are not alike or too few, or as
// ArrangeSamples.
absl::StatusOr<SampleGrid> ArrangeDenoisingStrip(
    absl::Span<const std::vector<uint8_t>> columns, const ImageShape& shape);

// The strip as PNG bytes. shape.channels is 1 or 3.
absl::StatusOr<std::string> EncodeDenoisingStrip(
    absl::Span<const std::vector<uint8_t>> columns, const ImageShape& shape);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_PICTURES_DENOISING_STRIP_H_
