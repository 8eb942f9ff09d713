// How far a new version's images may be from those of the live one.
#ifndef DDGAN_ENGINE_API_CANARY_BOUNDS_H_
#define DDGAN_ENGINE_API_CANARY_BOUNDS_H_

namespace ddgan {

// Distances between the canary images of two versions, by channel. Pixels are
// in [-1, 1].
struct CanaryBounds {
  // Of a channel's mean. [0, 2]; 2 allows any.
  double max_mean_shift = 0.5;
  // Of a channel's standard deviation, as a factor either way. >= 1
  double max_deviation_ratio = 3;
};

}  // namespace ddgan

#endif  // DDGAN_ENGINE_API_CANARY_BOUNDS_H_
