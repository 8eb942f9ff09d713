// Whether a new version's images look like images: the last check before it may
// serve. Pure functions of pixels.
#ifndef DDGAN_ENGINE_CANARY_H_
#define DDGAN_ENGINE_CANARY_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "engine/generation.h"

namespace ddgan {

// The canary's images: indices 0 to kCanaryImages - 1 of this seed.
inline constexpr uint64_t kCanarySeed = 20220425;
inline constexpr int kCanaryImages = 4;

// Distances between a new version's canary and the live version's. Pixels are
// in
// [-1, 1].
struct CanaryBounds {
  // Of a channel's mean. [0, 2]; 2 allows any.
  double max_mean_shift = 0.5;
  // Of a channel's standard deviation, as a factor either way. >= 1
  double max_deviation_ratio = 3;
};

// Per-channel statistics over all pixels of the canary's images.
struct CanaryStatistics {
  std::vector<double> mean;
  std::vector<double> deviation;  // Standard, of the population.
};

// Statistics of float images, `images` of them after one another, each planes
// [C, H, W]; or why they cannot be images that a trained model makes:
//   FailedPrecondition  a value that is not finite; hardly a value inside
//                       (-0.99, 0.99); a channel that is one value everywhere;
//                       images that are all the same
absl::StatusOr<CanaryStatistics> MeasureCanary(absl::Span<const float> pixels,
                                               const ImageShape& shape,
                                               int images);

// FailedPrecondition that names channel, values and bound if `next` is further
// from `live` than `bounds`, or has another number of channels.
absl::Status CompareCanaries(const CanaryStatistics& live,
                             const CanaryStatistics& next,
                             const CanaryBounds& bounds);

}  // namespace ddgan

#endif  // DDGAN_ENGINE_CANARY_H_
