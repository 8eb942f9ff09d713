// The kernel distance of two sets of features: KID if they are Inception's
// (Binkowski et al., ICLR 2018). Unbiased squared MMD with the kernel
// (a . b / d + 1)^3. No LibTorch in this header.
#ifndef DDGAN_TRAINER_EVALUATION_METRICS_KERNEL_DISTANCE_H_
#define DDGAN_TRAINER_EVALUATION_METRICS_KERNEL_DISTANCE_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "trainer/evaluation/metrics/feature_rows.h"

namespace ddgan {

struct KernelDistanceOptions {
  int subsets = 100;      // [1, 10,000]
  int64_t subset = 1000;  // Rows of each; fewer if there are fewer. [2, 10,000]
  uint64_t seed = 0;      // Of the subsets.
};

struct KernelDistance {
  double mean = 0;
  double stddev = 0;  // Of the population of subsets.
  int subsets = 0;
  int64_t subset = 0;  // Rows of each.
};

// Over random subsets, each without repetition, that are a function of the seed
// and the numbers of rows alone. Fewer than 2^32 rows.
//   InvalidArgument  an option out of its range, fewer than 2 rows, numbers of
//                    features that differ, or a value that CheckFeatures
//                    refuses; the sentence names its row
absl::StatusOr<KernelDistance> KernelDistanceOfSubsets(
    const FeatureRows& real, const FeatureRows& generated,
    const KernelDistanceOptions& options);

// Over all rows, by blocks.
//   InvalidArgument  the sets are not of one size, or as above
absl::StatusOr<double> KernelDistanceOfAll(const FeatureRows& real,
                                           const FeatureRows& generated);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_EVALUATION_METRICS_KERNEL_DISTANCE_H_
