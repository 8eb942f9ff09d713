// Points in the plane beside the 25 modes that they should hit, as PNG for a
// person to look at. No LibTorch.
#ifndef DDGAN_TRAINER_PICTURES_SCATTER_PICTURE_H_
#define DDGAN_TRAINER_PICTURES_SCATTER_PICTURE_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace ddgan {

struct ScatterPanel {
  // x, y, x, y, ... What is not finite or beyond the limit is not drawn.
  absl::Span<const float> points;
  // A number in the top left corner: the steps of training. >= 0
  std::optional<int64_t> label;
};

struct ScatterOptions {
  int panel_size = 512;  // Pixels, square. [64, 2048]
  // Both axes reach from -limit to limit, y upwards. (0, 1000]
  double limit = 5;
};

// The panels, 1 to 16, side by side on white: points in blue, darker where they
// are dense, and around each mean of the 25-Gaussians a thin ring of 3 standard
// deviations, within which a point is of high quality. Equal input gives equal
// bytes. Thread-safe.
// InvalidArgument that names what is out of range.
absl::StatusOr<std::string> EncodeScatterPicture(
    absl::Span<const ScatterPanel> panels, const ScatterOptions& options = {});

}  // namespace ddgan

#endif  // DDGAN_TRAINER_PICTURES_SCATTER_PICTURE_H_
