// Blocks of feature rows as tensors of doubles, so that no metric needs all
// rows, or all pairs of rows, in memory at once.
#ifndef DDGAN_TRAINER_EVALUATION_METRICS_FEATURE_BLOCKS_H_
#define DDGAN_TRAINER_EVALUATION_METRICS_FEATURE_BLOCKS_H_

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "trainer/evaluation/metrics/feature_rows.h"

namespace ddgan {

// Rows [begin, begin + count), or as many of them as there are, in double:
// [count, features].
at::Tensor RowsInDouble(const FeatureRows& rows, int64_t begin, int64_t count);

// The mean of the rows, rounded to float32: double [features]. Distances lose
// digits where rows are farther from the origin than from each other. Rows less
// their centre are not, and in double that difference of two float32 is exact.
at::Tensor CentreOf(const FeatureRows& rows);

// A block, and what distances to it need.
struct FeatureBlock {
  at::Tensor rows;     // double [count, features]; less the centre.
  at::Tensor squares;  // double [count]; |row|^2.
};

FeatureBlock BlockOf(const FeatureRows& rows, int64_t begin, int64_t count,
                     const at::Tensor& centre);

// Euclidean distances of all pairs of two blocks with one centre: float32
// [a's rows, b's rows]. Exactly 0 for equal rows. The square is computed in
// double and rounded to float32, and its root taken in float32, as the Python
// package prdc has it. So what `<` and
// `<=` say of two distances neither depends on which block a row is in, nor
// differs from prdc.
at::Tensor Distances(const FeatureBlock& a, const FeatureBlock& b);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_EVALUATION_METRICS_FEATURE_BLOCKS_H_
