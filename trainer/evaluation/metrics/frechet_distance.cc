#include "trainer/evaluation/metrics/frechet_distance.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/linalg_eigh.h>
#include <ATen/ops/linalg_eigvalsh.h>
#include <ATen/ops/mm.h>

#include <tuple>

#include "absl/strings/str_cat.h"
#include "engine/base/libtorch_errors.h"
#include "trainer/evaluation/metrics/feature_blocks.h"

namespace ddgan {
namespace {

constexpr char kDoing[] = "the Fréchet distance";  // In LibTorch's errors.

// The same memory as a tensor.
at::Tensor VectorOf(const std::vector<double>& values) {
  return at::from_blob(const_cast<double*>(values.data()),
                       {static_cast<int64_t>(values.size())},
                       at::TensorOptions(at::kDouble));
}

at::Tensor CovarianceOf(const FeatureStatistics& statistics) {
  const int64_t features = static_cast<int64_t>(statistics.mean.size());
  return VectorOf(statistics.covariance).view({features, features});
}

absl::Status CheckStatistics(absl::string_view whose,
                             const FeatureStatistics& statistics) {
  const size_t features = statistics.mean.size();
  if (features > 0 && statistics.covariance.size() == features * features) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(
      whose, " have ", features, " means and ", statistics.covariance.size(),
      " covariances, must have the square of the means"));
}

}  // namespace

absl::StatusOr<FeatureStatistics> StatisticsOf(const FeatureRows& features) {
  const absl::Status status = CheckFeatures("the features", features, 2);
  if (!status.ok()) return status;
  return CatchingLibTorch(kDoing, [&]() -> absl::StatusOr<FeatureStatistics> {
    const int64_t rows = features.rows, count = features.features;
    FeatureStatistics statistics{
        .rows = rows,
        .mean = std::vector<double>(count),
        .covariance = std::vector<double>(count * count)};
    const int64_t block_rows = BlockRows(count);
    const at::Tensor mean = VectorOf(statistics.mean);
    for (int64_t begin = 0; begin < rows; begin += block_rows) {
      mean.add_(RowsInDouble(features, begin, block_rows).sum(0));
    }
    mean.div_(static_cast<double>(rows));
    // The means go first: sums of products of uncentred features would cancel.
    const at::Tensor covariance = CovarianceOf(statistics);
    for (int64_t begin = 0; begin < rows; begin += block_rows) {
      const at::Tensor block =
          RowsInDouble(features, begin, block_rows).sub_(mean);
      covariance.addmm_(block.t(), block);
    }
    covariance.div_(static_cast<double>(rows - 1));
    return statistics;
  });
}

absl::StatusOr<double> FrechetDistance(const FeatureStatistics& real,
                                       const FeatureStatistics& generated) {
  for (const absl::Status& status :
       {CheckStatistics("the real statistics", real),
        CheckStatistics("the generated statistics", generated)}) {
    if (!status.ok()) return status;
  }
  if (real.mean.size() != generated.mean.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the real statistics are of ", real.mean.size(),
                     " features, the generated statistics of ",
                     generated.mean.size(), ", must be as many"));
  }
  return CatchingLibTorch(kDoing, [&]() -> absl::StatusOr<double> {
    const at::Tensor real_covariance = CovarianceOf(real);
    const at::Tensor generated_covariance = CovarianceOf(generated);
    const auto [values, vectors] = at::linalg_eigh(real_covariance, "L");
    // S, with S S = the real covariance.
    const at::Tensor root =
        at::mm(vectors * values.clamp_min(0).sqrt(), vectors.t());
    const at::Tensor trace_of_root =
        at::linalg_eigvalsh(at::mm(at::mm(root, generated_covariance), root),
                            "L")
            .clamp_min(0)
            .sqrt()
            .sum();
    const at::Tensor distance =
        (VectorOf(real.mean) - VectorOf(generated.mean)).square().sum() +
        real_covariance.trace() + generated_covariance.trace() -
        2 * trace_of_root;
    return distance.item<double>();
  });
}

}  // namespace ddgan
