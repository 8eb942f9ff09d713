#include "trainer/evaluation/mode_coverage.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace ddgan {
namespace {

constexpr double kMaxStds = 3;

// KL(counts / total || uniform) in nats. total > 0.
double DivergenceFromUniform(absl::Span<const int64_t> counts, int64_t total) {
  double sum = 0;
  for (const int64_t count : counts) {
    if (count == 0) continue;
    const double p = static_cast<double>(count) / static_cast<double>(total);
    sum += p * std::log(p * static_cast<double>(counts.size()));
  }
  // Rounding may leave a trace below zero where all are equal.
  return std::max(sum, 0.0);
}

int Covered(absl::Span<const int64_t> counts) {
  return static_cast<int>(std::count_if(
      counts.begin(), counts.end(), [](int64_t count) { return count > 0; }));
}

// ln of the probability that `count` of `samples` are of one mode of so many.
double LogBinomial(int64_t samples, int64_t count, int modes) {
  const auto n = static_cast<double>(samples), c = static_cast<double>(count);
  const double p = 1.0 / modes;
  return std::lgamma(n + 1) - std::lgamma(c + 1) - std::lgamma(n - c + 1) +
         c * std::log(p) + (n - c) * std::log1p(-p);
}

absl::StatusOr<DigitCoverage> CoverageOfLabels(
    absl::Span<const uint16_t> labels, int modes) {
  if (labels.empty()) {
    return absl::InvalidArgumentError(
        "labels is empty, must hold at least one");
  }
  std::vector<int64_t> counts(modes);
  for (const uint16_t label : labels) {
    if (label >= modes) {
      return absl::InvalidArgumentError(absl::StrCat(
          "labels has ", label, ", must be in [0, ", modes - 1, "]"));
    }
    ++counts[label];
  }
  return DigitCoverage{
      .samples = labels.size(),
      .modes = modes,
      .modes_covered = Covered(counts),
      .kl = DivergenceFromUniform(counts, static_cast<int64_t>(labels.size())),
      .kl_floor = UniformKl(static_cast<int64_t>(labels.size()), modes)};
}

}  // namespace

double UniformKl(int64_t samples, int modes) {
  if (modes == 1) return 0;
  double sum = 0;
  for (int64_t count = 1; count <= samples; ++count) {
    const double share =
        static_cast<double>(count) / static_cast<double>(samples);
    sum += std::exp(LogBinomial(samples, count, modes)) * share *
           std::log(share * modes);
  }
  return modes * sum;
}

absl::StatusOr<GaussianCoverage> CoverageOfGaussians(
    absl::Span<const float> points) {
  if (points.empty() || points.size() % 2 != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("points has ", points.size(),
                     " numbers, must be an even number of at least 2"));
  }
  GaussianCoverage coverage;
  coverage.points = points.size() / 2;
  int64_t total = 0;
  for (size_t i = 0; i < points.size(); i += 2) {
    double nearest = INFINITY;
    int nearest_mode = 0;
    for (int mode = 0; mode < kGaussianModes; ++mode) {
      const PlanePoint mean = GaussianMean(mode);
      const double distance =
          std::hypot(points[i] - mean.x, points[i + 1] - mean.y);
      if (distance < nearest) {  // False for what is not a number.
        nearest = distance;
        nearest_mode = mode;
      }
    }
    if (nearest < kMaxStds * kGaussianStd) {
      ++coverage.high_quality[nearest_mode];
      ++total;
    }
  }
  coverage.modes_covered = Covered(coverage.high_quality);
  coverage.high_quality_share =
      static_cast<double>(total) / static_cast<double>(coverage.points);
  if (total > 0) {
    coverage.kl = DivergenceFromUniform(coverage.high_quality, total);
  }
  return coverage;
}

absl::StatusOr<DigitCoverage> CoverageOfDigits(
    absl::Span<const uint16_t> labels) {
  return CoverageOfLabels(labels, 10);
}

absl::StatusOr<DigitCoverage> CoverageOfStackedDigits(
    absl::Span<const uint16_t> labels) {
  return CoverageOfLabels(labels, 1000);
}

}  // namespace ddgan
