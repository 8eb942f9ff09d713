#include "engine/diffusion/noise_schedule.h"

#include <algorithm>
#include <cmath>

#include "engine/diffusion/portable_math.h"

namespace ddgan {
namespace {

// tau_0 of the process; the noise below it is left out.
constexpr double kFirstTime = 1e-3;
// The reference's literal is a float32.
constexpr float kBetaZero = 1e-8f;

double Variance(double tau, const DiffusionProcess& process) {
  if (process.use_geometric) {
    return process.beta_min *
           PortableExp(tau * PortableLog(process.beta_max / process.beta_min));
  }
  const double log_mean =
      -0.25 * tau * tau * (process.beta_max - process.beta_min) -
      0.5 * tau * process.beta_min;
  return 1.0 - PortableExp(2.0 * log_mean);
}

}  // namespace

NoiseSchedule ComputeNoiseSchedule(const DiffusionProcess& process) {
  const int steps = process.num_timesteps;
  NoiseSchedule s;
  s.betas.push_back(kBetaZero);
  double previous = 0;
  for (int i = 0; i <= steps; ++i) {
    const double tau =
        static_cast<double>(i) / steps * (1.0 - kFirstTime) + kFirstTime;
    const double alpha_bar = 1.0 - Variance(tau, process);
    if (i > 0)
      s.betas.push_back(static_cast<float>(1.0 - alpha_bar / previous));
    previous = alpha_bar;
  }

  float product = 1.0f;
  for (float beta : s.betas) {
    s.sigmas.push_back(std::sqrt(beta));
    s.a.push_back(std::sqrt(1.0f - beta));
    product *= s.a.back();
    s.ac.push_back(product);
    s.sc.push_back(std::sqrt(1.0f - product * product));
  }

  double cumulative = 1.0;
  float alphas_before = 1.0f;
  for (int t = 0; t < steps; ++t) {
    const float beta = s.betas[t + 1];
    const float alpha = 1.0f - beta;
    cumulative *= static_cast<double>(alpha);
    const float alphas = static_cast<float>(cumulative);
    s.variance.push_back(beta * (1.0f - alphas_before) / (1.0f - alphas));
    const double variance =
        static_cast<double>(std::max(s.variance.back(), 1e-20f));
    s.log_variance.push_back(static_cast<float>(PortableLog(variance)));
    const double half = 0.5 * static_cast<double>(s.log_variance.back());
    s.stddev.push_back(t == 0 ? 0.0f : static_cast<float>(PortableExp(half)));
    s.c1.push_back(beta * std::sqrt(alphas_before) / (1.0f - alphas));
    s.c2.push_back((1.0f - alphas_before) * std::sqrt(alpha) / (1.0f - alphas));
    alphas_before = alphas;
  }
  return s;
}

}  // namespace ddgan
