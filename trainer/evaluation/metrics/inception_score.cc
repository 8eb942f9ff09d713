#include "trainer/evaluation/metrics/inception_score.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "engine/base/check_range.h"

namespace ddgan {
namespace {

// By how much a row's sum may miss 1: that of 1,000 float32 misses it by 1e-6.
constexpr double kSumTolerance = 1e-3;

absl::Status CheckDistributions(const FeatureRows& rows) {
  for (int64_t row = 0; row < rows.rows; ++row) {
    const float* const p = rows.values + row * rows.features;
    double sum = 0;
    for (int64_t i = 0; i < rows.features; ++i) {
      if (!(p[i] >= 0)) {  // NaN, too.
        return absl::InvalidArgumentError(
            absl::StrCat("row ", row, " of the probabilities has ", p[i],
                         " at ", i, ", must be in [0, 1]"));
      }
      sum += p[i];
    }
    if (!(std::abs(sum - 1) <= kSumTolerance)) {
      return absl::InvalidArgumentError(
          absl::StrCat("row ", row, " of the probabilities has the sum ", sum,
                       ", must be 1"));
    }
  }
  return absl::OkStatus();
}

double ScoreOf(const FeatureRows& rows) {
  const double count = static_cast<double>(rows.rows);
  std::vector<double> log_mean(rows.features);
  for (int64_t row = 0; row < rows.rows; ++row) {
    const float* const p = rows.values + row * rows.features;
    for (int64_t i = 0; i < rows.features; ++i) log_mean[i] += p[i];
  }
  for (double& value : log_mean) value = std::log(value / count);
  double divergence = 0;
  for (int64_t row = 0; row < rows.rows; ++row) {
    const float* const p = rows.values + row * rows.features;
    for (int64_t i = 0; i < rows.features; ++i) {
      if (p[i] > 0) divergence += p[i] * (std::log(double{p[i]}) - log_mean[i]);
    }
  }
  return std::exp(divergence / count);
}

}  // namespace

absl::StatusOr<InceptionScore> InceptionScoreOf(
    const FeatureRows& probabilities, int splits) {
  for (const absl::Status& status :
       {CheckRowCount("the probabilities", probabilities, 1),
        CheckRange("splits", int64_t{splits}, 1, probabilities.rows)}) {
    if (!status.ok()) return status;
  }
  const absl::Status status = CheckDistributions(probabilities);
  if (!status.ok()) return status;
  const int64_t rows = probabilities.rows / splits;  // Of a split.
  std::vector<double> scores;
  double sum = 0;
  for (int split = 0; split < splits; ++split) {
    scores.push_back(
        ScoreOf({probabilities.values + split * rows * probabilities.features,
                 rows, probabilities.features}));
    sum += scores.back();
  }
  const double mean = sum / splits;
  double squares = 0;
  for (const double score : scores) squares += (score - mean) * (score - mean);
  return InceptionScore{
      .mean = mean, .stddev = std::sqrt(squares / splits), .splits = splits};
}

}  // namespace ddgan
