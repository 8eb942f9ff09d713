// How a flat gradient is cut into the pieces that are summed over processes
// one by one. No LibTorch.
#ifndef DDGAN_TRAINER_DISTRIBUTED_GRADIENT_BUCKETS_H_
#define DDGAN_TRAINER_DISTRIBUTED_GRADIENT_BUCKETS_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace ddgan {

// Neighbouring parameters, whole ones.
struct GradientBucket {
  // Parameters [first_parameter, end_parameter) of the network.
  int64_t first_parameter = 0;
  int64_t end_parameter = 0;
  // Elements [offset, offset + size) of the flat gradient.
  int64_t offset = 0;
  int64_t size = 0;
};

// Buckets in the order in which backward completes them: the last parameters
// first. `parameter_sizes` are elements, in the order of the flat gradient; no
// parameter is split, so one that exceeds a limit has a bucket of its own. The
// first bucket has at most `first_elements` otherwise, so that sending begins
// early; the others at most `elements`. Both limits >= 1. Every parameter is in
// exactly one bucket; no parameter, no bucket.
std::vector<GradientBucket> PlanGradientBuckets(
    absl::Span<const int64_t> parameter_sizes, int64_t first_elements,
    int64_t elements);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_DISTRIBUTED_GRADIENT_BUCKETS_H_
