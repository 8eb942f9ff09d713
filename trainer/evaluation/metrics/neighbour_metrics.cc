#include "trainer/evaluation/metrics/neighbour_metrics.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/base/check_range.h"
#include "engine/base/libtorch_errors.h"
#include "trainer/evaluation/metrics/feature_blocks.h"

namespace ddgan {
namespace {

constexpr char kDoing[] = "the distances of features";  // In LibTorch's errors.
constexpr float kInfinity = std::numeric_limits<float>::infinity();

// The k nearest candidates so far of each of some rows.
class NearestLists {
 public:
  NearestLists(int64_t rows, int k)
      : k_(k),
        neighbours_(rows * k, Neighbour{.row = -1, .distance = kInfinity}) {}

  // distances[i][j] is that of row `row` + i to candidate `candidate` + j. Of
  // equal distances the candidate that was offered first stays first.
  void Offer(int64_t row, int64_t candidate, const at::Tensor& distances) {
    const int64_t columns = distances.size(1);
    const float* const distance = distances.const_data_ptr<float>();
    at::parallel_for(0, distances.size(0), 16, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        Neighbour* const list = &neighbours_[(row + i) * k_];
        for (int64_t j = 0; j < columns; ++j) {
          const double d = distance[i * columns + j];
          if (d < list[k_ - 1].distance) Insert(list, {candidate + j, d});
        }
      }
    });
  }

  // Of each row, to its k-th nearest: float32 [rows].
  at::Tensor Radii() const {
    const int64_t rows = static_cast<int64_t>(neighbours_.size()) / k_;
    at::Tensor radii = at::empty({rows}, at::TensorOptions(at::kFloat));
    float* const radius = radii.mutable_data_ptr<float>();
    for (int64_t i = 0; i < rows; ++i) {
      radius[i] = static_cast<float>(neighbours_[i * k_ + k_ - 1].distance);
    }
    return radii;
  }

  std::vector<Neighbour> Take() { return std::move(neighbours_); }

 private:
  // Drops the last.
  void Insert(Neighbour* list, const Neighbour& neighbour) const {
    int place = k_ - 1;
    for (; place > 0 && neighbour.distance < list[place - 1].distance;
         --place) {
      list[place] = list[place - 1];
    }
    list[place] = neighbour;
  }

  const int k_;
  std::vector<Neighbour> neighbours_;  // [rows, k], nearest first.
};

// Tells of blocks done as of rows done.
class BlockProgress {
 public:
  BlockProgress(int64_t blocks, int64_t rows, const NeighbourProgress& progress)
      : blocks_(blocks), rows_(rows), progress_(progress) {}

  void OneMore() {
    ++done_;
    if (progress_) progress_(rows_ * done_ / blocks_, rows_);
  }

 private:
  const int64_t blocks_;
  const int64_t rows_;
  const NeighbourProgress& progress_;
  int64_t done_ = 0;
};

// How far the ball of each row reaches: float32 [rows].
at::Tensor RadiiOf(const FeatureRows& rows, int k, int64_t block,
                   BlockProgress* progress) {
  NearestLists nearest(rows.rows, k);
  const at::Tensor centre = CentreOf(rows);
  for (int64_t i = 0; i < rows.rows; i += block) {
    const FeatureBlock these = BlockOf(rows, i, block, centre);
    for (int64_t j = i; j < rows.rows; j += block) {
      if (j == i) {
        const at::Tensor distances = Distances(these, these);
        distances.fill_diagonal_(kInfinity);  // No row is its own neighbour.
        nearest.Offer(i, i, distances);
      } else {
        const at::Tensor distances =
            Distances(these, BlockOf(rows, j, block, centre));
        nearest.Offer(i, j, distances);
        nearest.Offer(j, i, distances.t().contiguous());
      }
      progress->OneMore();
    }
  }
  return nearest.Radii();
}

double ShareOf(const at::Tensor& flags) {
  return static_cast<double>(flags.sum().item<int64_t>()) /
         static_cast<double>(flags.size(0));
}

NeighbourMetrics Count(const FeatureRows& real, const FeatureRows& generated,
                       const at::Tensor& real_radii,
                       const at::Tensor& generated_radii,
                       const NeighbourOptions& options,
                       BlockProgress* progress) {
  const auto flags = [](int64_t rows) {
    return at::zeros({rows}, at::TensorOptions(at::kBool));
  };
  const at::Tensor in_real_ball = flags(generated.rows);
  const at::Tensor in_generated_ball = flags(real.rows);
  const at::Tensor covered = flags(real.rows);
  const at::Tensor centre = CentreOf(real);
  int64_t balls = 0;  // Pairs of a real ball and a generated row in it.
  for (int64_t i = 0; i < real.rows; i += options.block) {
    const FeatureBlock real_block = BlockOf(real, i, options.block, centre);
    const int64_t i_end = i + real_block.rows.size(0);
    const at::Tensor real_reach = real_radii.slice(0, i, i_end).unsqueeze(1);
    for (int64_t j = 0; j < generated.rows; j += options.block) {
      const FeatureBlock block = BlockOf(generated, j, options.block, centre);
      const int64_t j_end = j + block.rows.size(0);
      const at::Tensor reach = generated_radii.slice(0, j, j_end);
      const at::Tensor distances = Distances(real_block, block);
      const at::Tensor inside = distances.lt(real_reach);
      balls += inside.sum().item<int64_t>();
      covered.slice(0, i, i_end).logical_or_(inside.any(1));
      in_real_ball.slice(0, j, j_end)
          .logical_or_(
              (options.strict ? inside : distances.le(real_reach)).any(0));
      in_generated_ball.slice(0, i, i_end)
          .logical_or_(
              (options.strict ? distances.lt(reach) : distances.le(reach))
                  .any(1));
      progress->OneMore();
    }
  }
  return {.precision = ShareOf(in_real_ball),
          .recall = ShareOf(in_generated_ball),
          .density = static_cast<double>(balls) / options.k /
                     static_cast<double>(generated.rows),
          .coverage = ShareOf(covered)};
}

}  // namespace

absl::StatusOr<NeighbourMetrics> NeighbourMetricsOf(
    const FeatureRows& real, const FeatureRows& generated,
    const NeighbourOptions& options, const NeighbourProgress& progress) {
  for (const absl::Status& status :
       {CheckRange("k", options.k, 1, kMaxNeighbours),
        CheckRange("block", options.block, 1, 16384)}) {
    if (!status.ok()) return status;
  }
  const absl::Status status =
      CheckFeatures(real, generated, int64_t{options.k} + 1);
  if (!status.ok()) return status;
  return CatchingLibTorch(kDoing, [&]() -> absl::StatusOr<NeighbourMetrics> {
    const auto blocks = [&](int64_t rows) {
      return (rows + options.block - 1) / options.block;
    };
    const int64_t r = blocks(real.rows), g = blocks(generated.rows);
    BlockProgress told(r * (r + 1) / 2 + g * (g + 1) / 2 + r * g,
                       real.rows + generated.rows, progress);
    const at::Tensor real_radii =
        RadiiOf(real, options.k, options.block, &told);
    const at::Tensor generated_radii =
        RadiiOf(generated, options.k, options.block, &told);
    return Count(real, generated, real_radii, generated_radii, options, &told);
  });
}

absl::StatusOr<std::vector<Neighbour>> NearestRows(const FeatureRows& queries,
                                                   const FeatureRows& among,
                                                   int k) {
  if (queries.features != among.features) {
    return absl::InvalidArgumentError(
        absl::StrCat("the queries are rows of ", queries.features,
                     ", the rows among which to look of ", among.features,
                     ", must be as many"));
  }
  for (const absl::Status& status :
       {CheckRange("k", k, 1, kMaxNeighbours),
        CheckFeatures("the queries", queries, 0),
        CheckFeatures("the rows among which to look", among, k)}) {
    if (!status.ok()) return status;
  }
  return CatchingLibTorch(
      kDoing, [&]() -> absl::StatusOr<std::vector<Neighbour>> {
        NearestLists nearest(queries.rows, k);
        const at::Tensor centre = CentreOf(among);
        const int64_t rows = BlockRows(among.features);
        for (int64_t i = 0; i < queries.rows; i += rows) {
          const FeatureBlock block = BlockOf(queries, i, rows, centre);
          for (int64_t j = 0; j < among.rows; j += rows) {
            nearest.Offer(i, j,
                          Distances(block, BlockOf(among, j, rows, centre)));
          }
        }
        return nearest.Take();
      });
}

}  // namespace ddgan
