// The arithmetic by which one evaluation of the network moves a state, one
// definition for CPU and CUDA. Plain C++17, so that nvcc can read it.
#ifndef DDGAN_ENGINE_DIFFUSION_STATE_UPDATE_H_
#define DDGAN_ENGINE_DIFFUSION_STATE_UPDATE_H_

#include <cmath>

#include "engine/base/host_device.h"

namespace ddgan {

// The next state is x0 x0' + x x_{t+1} + noise n, n standard normal. Where
// `noise` is 0 there is no n.
struct LinearUpdate {
  float x0 = 0;
  float x = 0;
  float noise = 0;
};

// A Langevin correction at one noise level (Song et al., ICLR 2021, algorithm 5
// in its variance-preserving form): with acp = ac^2 and the score
// s = -(x - ac x0') / (1 - acp),
//   eps = 2 alpha (0.16 |n| / |s|)^2,  x <- x + eps s + sqrt(2 eps) n.
struct Correction {
  float alpha = 0;  // 1 - beta of the step to this level; 0: no correction.
  float ac = 0;
  float one_minus_acp = 1;
};

// The correction as a linear update, for noise of the squared norm
// `noise_square` and x - ac x0' of the squared norm `residual_square`, both of
// one image. Where the score is 0 the state stays.
DDGAN_HOST_DEVICE inline LinearUpdate CorrectionUpdate(
    const Correction& correction, double noise_square, double residual_square) {
  constexpr double kSignalToNoise = 0.16;
  const double one_minus_acp = correction.one_minus_acp;
  const double score_square = residual_square / (one_minus_acp * one_minus_acp);
  if (!(score_square > 0)) return {0, 1, 0};
  const double eps = 2 * static_cast<double>(correction.alpha) *
                     kSignalToNoise * kSignalToNoise * noise_square /
                     score_square;
  const double pull = eps / one_minus_acp;
  return {static_cast<float>(pull * static_cast<double>(correction.ac)),
          static_cast<float>(1 - pull), static_cast<float>(sqrt(2 * eps))};
}

}  // namespace ddgan

#endif  // DDGAN_ENGINE_DIFFUSION_STATE_UPDATE_H_
