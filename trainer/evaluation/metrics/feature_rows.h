// Features of pictures, one row each: what every metric of this room compares.
// No LibTorch.
#ifndef DDGAN_TRAINER_EVALUATION_METRICS_FEATURE_ROWS_H_
#define DDGAN_TRAINER_EVALUATION_METRICS_FEATURE_ROWS_H_

#include <cstdint>

namespace ddgan {

// A view of a matrix, row-major: values[row * features + feature]. Whoever made
// it owns the values.
struct FeatureRows {
  const float* values = nullptr;
  int64_t rows = 0;
  int64_t features = 0;  // Of one row. >= 1
};

}  // namespace ddgan

#endif  // DDGAN_TRAINER_EVALUATION_METRICS_FEATURE_ROWS_H_
