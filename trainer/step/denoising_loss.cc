#include "trainer/step/denoising_loss.h"

#include <ATen/TensorOperators.h>

#include <algorithm>

namespace ddgan {
namespace {

// Beyond it a nearly clean image would outweigh all others.
constexpr double kMaxSignalToNoise = 5;

}  // namespace

std::vector<float> DenoisingWeights(const NoiseSchedule& schedule) {
  std::vector<float> weights;
  for (int t = 0; t < schedule.num_timesteps(); ++t) {
    const double ac = schedule.ac[t + 1];
    weights.push_back(static_cast<float>(
        std::min(ac * ac / (1 - ac * ac), kMaxSignalToNoise)));
  }
  return weights;
}

at::Tensor DenoisingLoss(const at::Tensor& x0, const at::Tensor& predicted,
                         const at::Tensor& t, const at::Tensor& weights) {
  const at::Tensor error = (x0 - predicted).square().flatten(1).mean(1);
  return (weights.index_select(0, t) * error).mean();
}

}  // namespace ddgan
