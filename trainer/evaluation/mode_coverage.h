// How many modes of a toy problem a model covers, and how evenly. No
// LibTorch. Thread-safe: pure functions.
#ifndef DDGAN_TRAINER_EVALUATION_MODE_COVERAGE_H_
#define DDGAN_TRAINER_EVALUATION_MODE_COVERAGE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "trainer/dataset/gaussian_mixture.h"

namespace ddgan {

// 25-Gaussians: a point is of high quality if it is nearer than 3 standard
// deviations (0.15) to the nearest mean.
struct GaussianCoverage {
  size_t points = 0;
  // High-quality points of each mode, as numbered by GaussianMean.
  std::array<int64_t, kGaussianModes> high_quality{};
  int modes_covered = 0;          // Modes with at least one of them. [0, 25]
  double high_quality_share = 0;  // Of all points. [0, 1]
  // Kullback-Leibler divergence of `high_quality` from the uniform
  // distribution, in nats: 0 (even) to ln 25 (one mode). Not set without any
  // high-quality point.
  std::optional<double> kl;
};

// `points` are x, y, x, y, ... as a GaussianMixture gives them. The literature
// takes 2,500. What is not finite is of low quality.
// InvalidArgument if there is no point or half a one.
absl::StatusOr<GaussianCoverage> CoverageOfGaussians(
    absl::Span<const float> points);

// Pictures of digits by what a classifier sees in them.
struct DigitCoverage {
  size_t samples = 0;
  int modes = 0;          // 10, or 1000 where a picture is of three digits.
  int modes_covered = 0;  // Distinct labels. [1, modes]
  // Kullback-Leibler divergence of the labels from the uniform distribution
  // over the modes, in nats: up to ln modes.
  double kl = 0;
  // UniformKl of as many samples. Only kl well above this tells something.
  double kl_floor = 0;
};

// What the Kullback-Leibler divergence of `samples` samples from the uniform
// distribution over `modes` modes is on average if it is that which they are
// drawn from, in nats: ln modes for one sample, near (modes - 1) / (2 samples)
// for many. Both >= 1. Time grows with `samples`.
double UniformKl(int64_t samples, int modes);

// MNIST: `labels` are the digits.
// InvalidArgument if there is none or one is above 9.
absl::StatusOr<DigitCoverage> CoverageOfDigits(
    absl::Span<const uint16_t> labels);

// Stacked-MNIST: `labels` are 100 d1 + 10 d2 + d3, of the digits in the three
// channels. The literature takes 26,000.
// InvalidArgument if there is none or one is above 999.
absl::StatusOr<DigitCoverage> CoverageOfStackedDigits(
    absl::Span<const uint16_t> labels);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_EVALUATION_MODE_COVERAGE_H_
