// Metrics by nearest neighbours: precision and recall (Kynkäänniemi et al.,
// NeurIPS 2019), density and coverage (Naeem et al., ICML 2020). No LibTorch in
// this header.
#ifndef DDGAN_TRAINER_EVALUATION_METRICS_NEIGHBOUR_METRICS_H_
#define DDGAN_TRAINER_EVALUATION_METRICS_NEIGHBOUR_METRICS_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "absl/status/statusor.h"
#include "trainer/evaluation/metrics/feature_rows.h"

namespace ddgan {

inline constexpr int kMaxNeighbours = 100;

struct NeighbourOptions {
  // A row's ball reaches its k-th nearest other row. [1, kMaxNeighbours]
  int k = 3;
  // Whether a row on the edge of a ball is outside for precision and recall
  // too, as in the Python package prdc. It always is for density and coverage.
  bool strict = false;
  // Rows of each set whose distances are in memory at once. It changes the
  // speed, not the result. [1, 16384]
  int64_t block = 1024;
};

struct NeighbourMetrics {
  double precision = 0;  // Share of generated rows in a ball of real ones.
  double recall = 0;     // Share of real rows in a ball of generated ones.
  double density = 0;    // Balls of real rows around a generated one, over k.
  double coverage = 0;   // Share of real balls with a generated row in them.
};

// Rows done of rows in all, the two sets together; after each block, on the
// thread of the caller. May be empty.
using NeighbourProgress = std::function<void(int64_t done, int64_t rows)>;

// Distances are in float32, from squares in double, and exactly 0 between equal
// rows; this is what the Python package prdc compares. They are computed by
// blocks: 50,000 rows of each set need less than 2 GiB beside them. Blocks are
// on the threads that LibTorch has.
//   InvalidArgument  an option out of its range, a set of fewer than k + 1
//                    rows, numbers of features that differ, or a value that
//                    CheckFeatures refuses; the sentence names its row
absl::StatusOr<NeighbourMetrics> NeighbourMetricsOf(
    const FeatureRows& real, const FeatureRows& generated,
    const NeighbourOptions& options, const NeighbourProgress& progress);

struct Neighbour {
  int64_t row = 0;      // Of `among`.
  double distance = 0;  // Euclidean, in float32's precision.
};

// The k nearest rows of `among` for each query, nearest first:
// [queries.rows * k]. Of equal distances the smaller row comes first.
//   InvalidArgument  as above; k rows to look among are enough
absl::StatusOr<std::vector<Neighbour>> NearestRows(const FeatureRows& queries,
                                                   const FeatureRows& among,
                                                   int k);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_EVALUATION_METRICS_NEIGHBOUR_METRICS_H_
