// The Inception score (Salimans et al., NeurIPS 2016):
// exp(mean over x of KL(p(y | x) || mean p)). No LibTorch.
#ifndef DDGAN_TRAINER_EVALUATION_METRICS_INCEPTION_SCORE_H_
#define DDGAN_TRAINER_EVALUATION_METRICS_INCEPTION_SCORE_H_

#include "absl/status/statusor.h"
#include "trainer/evaluation/metrics/feature_rows.h"

namespace ddgan {

struct InceptionScore {
  double mean = 0;
  double stddev = 0;  // Of the population of splits.
  int splits = 0;
};

// `probabilities` are of classes, one row per picture, each of sum 1 within
// 0.001. They are cut into `splits` equal consecutive parts; rows that are left
// over count for nothing.
//   InvalidArgument  splits not in [1, rows], or a row that is not a
//                    distribution; the sentence names it
absl::StatusOr<InceptionScore> InceptionScoreOf(
    const FeatureRows& probabilities, int splits);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_EVALUATION_METRICS_INCEPTION_SCORE_H_
