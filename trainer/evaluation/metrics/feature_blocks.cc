#include "trainer/evaluation/metrics/feature_blocks.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace ddgan {
namespace {

// |a|^2 + |b|^2 - 2 a . b is wrong by some 1e-15 of |a|^2 + |b|^2. Where less
// than this share of the sum is left, too few of float32's digits are.
constexpr double kCancellation = 1e-6;

double SquaredDistance(const double* a, const double* b, int64_t features) {
  double sum = 0;
  for (int64_t i = 0; i < features; ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return sum;
}

}  // namespace

at::Tensor RowsInDouble(const FeatureRows& rows, int64_t begin, int64_t count) {
  const int64_t there = std::min(count, rows.rows - begin);
  return at::from_blob(const_cast<float*>(rows.values + begin * rows.features),
                       {there, rows.features}, at::TensorOptions(at::kFloat))
      .to(at::kDouble);
}

at::Tensor CentreOf(const FeatureRows& rows) {
  const at::Tensor sum =
      at::zeros({rows.features}, at::TensorOptions(at::kDouble));
  const int64_t block = BlockRows(rows.features);
  for (int64_t begin = 0; begin < rows.rows; begin += block) {
    sum.add_(RowsInDouble(rows, begin, block).sum(0));
  }
  return sum.div_(static_cast<double>(rows.rows))
      .to(at::kFloat)
      .to(at::kDouble);
}

FeatureBlock BlockOf(const FeatureRows& rows, int64_t begin, int64_t count,
                     const at::Tensor& centre) {
  at::Tensor block = RowsInDouble(rows, begin, count).sub_(centre);
  at::Tensor squares = block.square().sum(1);
  return {std::move(block), std::move(squares)};
}

at::Tensor Distances(const FeatureBlock& a, const FeatureBlock& b) {
  const int64_t columns = b.rows.size(0), features = a.rows.size(1);
  const at::Tensor products = at::mm(a.rows, b.rows.t());
  at::Tensor distances =
      at::empty(products.sizes(), at::TensorOptions(at::kFloat));
  const double* const rows_a = a.rows.const_data_ptr<double>();
  const double* const rows_b = b.rows.const_data_ptr<double>();
  const double* const squares_a = a.squares.const_data_ptr<double>();
  const double* const squares_b = b.squares.const_data_ptr<double>();
  const double* const product = products.const_data_ptr<double>();
  float* const distance = distances.mutable_data_ptr<float>();
  at::parallel_for(0, a.rows.size(0), 16, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      for (int64_t j = 0; j < columns; ++j) {
        const double squares = squares_a[i] + squares_b[j];
        double square = squares - 2 * product[i * columns + j];
        if (square <= kCancellation * squares) {
          square = SquaredDistance(rows_a + i * features, rows_b + j * features,
                                   features);
        }
        distance[i * columns + j] = std::sqrt(static_cast<float>(square));
      }
    }
  });
  return distances;
}

}  // namespace ddgan
