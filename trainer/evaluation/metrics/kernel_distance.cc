#include "trainer/evaluation/metrics/kernel_distance.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/mm.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/base/check_range.h"
#include "engine/base/libtorch_errors.h"
#include "trainer/dataset/data_order.h"
#include "trainer/evaluation/metrics/feature_blocks.h"

namespace ddgan {
namespace {

constexpr char kDoing[] = "the kernel distance";  // In LibTorch's errors.

// Of all pairs of rows.
at::Tensor Kernel(const at::Tensor& a, const at::Tensor& b) {
  const at::Tensor base =
      at::mm(a, b.t()).div_(static_cast<double>(a.size(1))).add_(1);
  return base * base * base;
}

double SumOverPairs(const FeatureRows& a, const FeatureRows& b) {
  double sum = 0;
  const int64_t block_rows = BlockRows(a.features);
  for (int64_t i = 0; i < a.rows; i += block_rows) {
    const at::Tensor block = RowsInDouble(a, i, block_rows);
    for (int64_t j = 0; j < b.rows; j += block_rows) {
      sum += Kernel(block, RowsInDouble(b, j, block_rows)).sum().item<double>();
    }
  }
  return sum;
}

// The same over pairs of two different rows of one set.
double SumOverOthers(const FeatureRows& rows) {
  double sum = 0;
  const int64_t block_rows = BlockRows(rows.features);
  for (int64_t i = 0; i < rows.rows; i += block_rows) {
    const at::Tensor block = RowsInDouble(rows, i, block_rows);
    const at::Tensor own = Kernel(block, block);
    sum += (own.sum() - own.trace()).item<double>();
    for (int64_t j = i + block_rows; j < rows.rows; j += block_rows) {
      const at::Tensor other = RowsInDouble(rows, j, block_rows);
      sum += 2 * Kernel(block, other).sum().item<double>();
    }
  }
  return sum;
}

// Of two sets of one size.
double UnbiasedMmd(const FeatureRows& a, const FeatureRows& b) {
  const double n = static_cast<double>(a.rows);
  return (SumOverOthers(a) + SumOverOthers(b)) / (n * (n - 1)) -
         2 * SumOverPairs(a, b) / (n * n);
}

// Some of a set's rows.
class Subset {
 public:
  Subset(int64_t rows, int64_t features)
      : rows_(rows), features_(features), values_(rows * features) {}

  // Draws without repetition, by (seed, draw) alone.
  FeatureRows Draw(const FeatureRows& from, uint64_t seed, int64_t draw) {
    EpochOrder(seed, draw, static_cast<size_t>(from.rows), &order_);
    for (int64_t row = 0; row < rows_; ++row) {
      std::copy_n(from.values + order_[row] * features_, features_,
                  values_.begin() + row * features_);
    }
    return {values_.data(), rows_, features_};
  }

 private:
  const int64_t rows_;
  const int64_t features_;
  std::vector<float> values_;
  std::vector<uint32_t> order_;
};

}  // namespace

absl::StatusOr<KernelDistance> KernelDistanceOfSubsets(
    const FeatureRows& real, const FeatureRows& generated,
    const KernelDistanceOptions& options) {
  for (const absl::Status& status :
       {CheckRange("subsets", options.subsets, 1, 10000),
        CheckRange("subset", options.subset, 2, 10000),
        CheckFeatures(real, generated, 2)}) {
    if (!status.ok()) return status;
  }
  return CatchingLibTorch(kDoing, [&]() -> absl::StatusOr<KernelDistance> {
    const int64_t rows = std::min({options.subset, real.rows, generated.rows});
    Subset of_real(rows, real.features);
    Subset of_generated(rows, real.features);
    std::vector<double> distances;
    for (int64_t i = 0; i < options.subsets; ++i) {
      distances.push_back(
          UnbiasedMmd(of_real.Draw(real, options.seed, 2 * i),
                      of_generated.Draw(generated, options.seed, 2 * i + 1)));
    }
    const double count = static_cast<double>(distances.size());
    const double mean =
        std::accumulate(distances.begin(), distances.end(), 0.0) / count;
    double squares = 0;
    for (const double distance : distances) {
      squares += (distance - mean) * (distance - mean);
    }
    return KernelDistance{.mean = mean,
                          .stddev = std::sqrt(squares / count),
                          .subsets = options.subsets,
                          .subset = rows};
  });
}

absl::StatusOr<double> KernelDistanceOfAll(const FeatureRows& real,
                                           const FeatureRows& generated) {
  if (real.rows != generated.rows) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the real features have ", real.rows, " rows, the generated features ",
        generated.rows, ", must have as many"));
  }
  const absl::Status status = CheckFeatures(real, generated, 2);
  if (!status.ok()) return status;
  return CatchingLibTorch(kDoing, [&]() -> absl::StatusOr<double> {
    return UnbiasedMmd(real, generated);
  });
}

}  // namespace ddgan
