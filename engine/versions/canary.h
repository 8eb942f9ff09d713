// Whether a new version's images look like images: the last check before it may
// serve. Pure functions of pixels.
#ifndef DDGAN_ENGINE_VERSIONS_CANARY_H_
#define DDGAN_ENGINE_VERSIONS_CANARY_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "engine/api/canary_bounds.h"
#include "engine/api/generation.h"
#include "engine/requests/servable_version.h"

namespace ddgan {

// The canary's images: indices 0 to kCanaryImages - 1 of this seed.
inline constexpr uint64_t kCanarySeed = 20220425;
inline constexpr int kCanaryImages = 4;

// Statistics of float images, `images` of them after one another, each planes
// [C, H, W]; or why they cannot be images that a trained model makes:
//   FailedPrecondition  a value that is not finite; hardly a value inside
//                       (-0.99, 0.99); a channel that is one value everywhere;
//                       images that are all the same
absl::StatusOr<CanaryStatistics> MeasureCanary(absl::Span<const float> pixels,
                                               const ImageShape& shape,
                                               int images);

// FailedPrecondition that names channel, values and bound if `next` is further
// from `live` than `bounds`, or has another number of channels. A server that
// has just started has nothing live to compare the first version with.
absl::Status CompareCanaries(const CanaryStatistics& live,
                             const CanaryStatistics& next,
                             const CanaryBounds& bounds);

}  // namespace ddgan

#endif  // DDGAN_ENGINE_VERSIONS_CANARY_H_
