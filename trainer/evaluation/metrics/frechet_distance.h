// The Fréchet distance of two Gaussians that are fitted to features: FID if the
// features are Inception's (Heusel et al., NeurIPS 2017). No LibTorch in this
// header.
#ifndef DDGAN_TRAINER_EVALUATION_METRICS_FRECHET_DISTANCE_H_
#define DDGAN_TRAINER_EVALUATION_METRICS_FRECHET_DISTANCE_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "trainer/evaluation/metrics/feature_rows.h"

namespace ddgan {

// Mean and covariance of features, in double.
struct FeatureStatistics {
  int64_t rows = 0;                // That they were computed from.
  std::vector<double> mean;        // [d]
  std::vector<double> covariance;  // [d, d], row-major; divided by rows - 1.
};

// Memory beside the rows is that of three d x d matrices of doubles, whatever
// the number of rows.
//   InvalidArgument  fewer than 2 rows, or a value that CheckFeatures refuses;
//                    the sentence names its row
absl::StatusOr<FeatureStatistics> StatisticsOf(const FeatureRows& features);

// |m_R - m_F|^2 + tr C_R + tr C_F - 2 tr (C_R C_F)^1/2, the last trace as the
// sum of the roots of the eigenvalues of S C_F S, S = C_R^1/2, negative ones
// clipped to 0. Not negative but for rounding.
//   InvalidArgument  the numbers of features differ, or the covariances are not
//                    the square of the means
absl::StatusOr<double> FrechetDistance(const FeatureStatistics& real,
                                       const FeatureStatistics& generated);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_EVALUATION_METRICS_FRECHET_DISTANCE_H_
