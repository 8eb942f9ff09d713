#include "engine/model/time_embedding.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>

#include <cmath>

namespace ddgan {

at::Tensor SinusoidalEmbedding(const at::Tensor& t, int64_t width) {
  const int64_t half = width / 2;
  const double step = -std::log(10000.0) / static_cast<double>(half - 1);
  const at::Tensor frequencies =
      (at::arange(half, t.options().dtype(at::kFloat)) * step).exp();
  const at::Tensor angles =
      t.to(at::kFloat).unsqueeze(1) * frequencies.unsqueeze(0);
  const at::Tensor embedding = at::cat({angles.sin(), angles.cos()}, 1);
  return width % 2 == 0 ? embedding : at::constant_pad_nd(embedding, {0, 1}, 0);
}

}  // namespace ddgan
