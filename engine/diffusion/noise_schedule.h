// The diffusion process in numbers: betas and posterior coefficients for T
// steps, computed once per model version on the CPU. No LibTorch.
//
// Time index t in {0..T-1} means the transition between x_t and x_{t+1}; x_0 is
// data. Formulas: Xiao, Kreis, Vahdat (ICLR 2022) with the variance-preserving
// SDE of Song et al. (ICLR 2021), as in MODEL.md 1 and 2.
#ifndef DDGAN_ENGINE_DIFFUSION_NOISE_SCHEDULE_H_
#define DDGAN_ENGINE_DIFFUSION_NOISE_SCHEDULE_H_

#include <vector>

namespace ddgan {

struct NoiseSchedule {
  // Forward process, T+1 elements; element 0 is "no noise yet".
  std::vector<float> betas;
  std::vector<float> sigmas;  // sqrt(beta)
  std::vector<float> a;       // sqrt(1 - beta)
  std::vector<float> ac;      // product of a_0..a_i: x_i = ac x_0 + sc n
  std::vector<float> sc;      // sqrt(1 - ac^2)

  // Posterior q(x_t | x_{t+1}, x_0), T elements:
  // mean = c1 x_0 + c2 x_{t+1}, standard deviation = stddev.
  std::vector<float> c1;
  std::vector<float> c2;
  std::vector<float> variance;
  std::vector<float> log_variance;  // of max(variance, 1e-20)
  std::vector<float> stddev;        // exp(log_variance / 2); 0 at t = 0

  int num_timesteps() const { return static_cast<int>(c1.size()); }
};

// What a schedule is computed from, under the option names of the published
// command lines (engine/model/model_config.h has the ranges).
struct DiffusionProcess {
  int num_timesteps = 4;  // T
  double beta_min = 0.1;  // End points: variance-preserving, or
  double beta_max = 20;   // geometric with 0 < beta_min < beta_max < 1.
  bool use_geometric = false;
};

// `process` must be valid.
NoiseSchedule ComputeNoiseSchedule(const DiffusionProcess& process);

}  // namespace ddgan

#endif  // DDGAN_ENGINE_DIFFUSION_NOISE_SCHEDULE_H_
