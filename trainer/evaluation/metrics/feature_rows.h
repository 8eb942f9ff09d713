// Features of pictures, one row each: what every metric of this room compares.
// No LibTorch.
#ifndef DDGAN_TRAINER_EVALUATION_METRICS_FEATURE_ROWS_H_
#define DDGAN_TRAINER_EVALUATION_METRICS_FEATURE_ROWS_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace ddgan {

// A view of a matrix, row-major: values[row * features + feature]. Whoever made
// it owns the values.
struct FeatureRows {
  const float* values = nullptr;
  int64_t rows = 0;
  int64_t features = 0;  // Of one row. >= 1
};

// The largest magnitude that a feature may have, so that squares of distances
// stay within float32. No network gives so large ones.
inline constexpr float kLargestFeature = 1e15f;

// Rows of a block whose doubles are in memory at once: 1024, so that the
// product of two blocks keeps a processor busy, or fewer of rows so long that
// these would be more than 128 MiB. [1, 1024] `features` >= 1.
int64_t BlockRows(int64_t features);

// `whose` names the rows in the sentence: "the real features".
//   InvalidArgument  fewer than `least` rows, or rows of nothing
absl::Status CheckRowCount(absl::string_view whose, const FeatureRows& rows,
                           int64_t least);

// Reads every value once.
//   InvalidArgument  also a value that is not finite or beyond kLargestFeature;
//                    the sentence names its row
absl::Status CheckFeatures(absl::string_view whose, const FeatureRows& rows,
                           int64_t least);

// Both as above, "the real features" and "the generated features".
//   InvalidArgument  also numbers of features that differ
absl::Status CheckFeatures(const FeatureRows& real,
                           const FeatureRows& generated, int64_t least);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_EVALUATION_METRICS_FEATURE_ROWS_H_
