"""A mixture of Gaussians on the line under the diffusion process, exactly.

Mixtures stay mixtures: that of x_t given by x_0's, and that of x_s given x_t
(s < t), the true denoising distribution, are sums of Gaussians whose weights,
means and variances are in closed form. All in double.
"""

from typing import NamedTuple

import numpy as np

BETA_MIN = 0.1
BETA_MAX = 20.0
_FIRST_TIME = 1e-3  # tau_0 of the process; the noise below it is left out.
_BETA_ZERO = np.float32(1e-8)


def betas(num_timesteps):
  """beta_0 .. beta_T of engine/diffusion/noise_schedule.h, to the bit: float32.

  Variance preserving, from BETA_MIN to BETA_MAX.
  """
  tau = np.arange(num_timesteps + 1) / num_timesteps
  tau = tau * (1 - _FIRST_TIME) + _FIRST_TIME
  log_mean = -0.25 * tau**2 * (BETA_MAX - BETA_MIN) - 0.5 * tau * BETA_MIN
  variance = 1 - np.exp(2 * log_mean)
  alpha_bar = 1 - variance
  return np.concatenate([[_BETA_ZERO], 1 - alpha_bar[1:] / alpha_bar[:-1]
                        ]).astype(np.float32)


def kept_variances(num_timesteps):
  """a_0 .. a_T: x_t = sqrt(a_t) x_0 + sqrt(1 - a_t) n, n standard normal."""
  return np.cumprod(1 - betas(num_timesteps).astype(np.float64))


class Mixture(NamedTuple):
  """Weights that sum to 1, means, variances above 0: arrays of one length."""
  weights: np.ndarray
  means: np.ndarray
  variances: np.ndarray

  def density(self, x):
    """At each x: float64 of the shape of x."""
    x = np.asarray(x, np.float64)[..., np.newaxis]
    exponent = -0.5 * (x - self.means)**2 / self.variances
    return (self.weights * np.exp(exponent) /
            np.sqrt(2 * np.pi * self.variances)).sum(-1)

  def mean(self):
    return float(self.weights @ self.means)

  def variance(self):
    spread = self.variances + (self.means - self.mean())**2
    return float(self.weights @ spread)


def diffused(x0, kept):
  """q(x_t) where x0 is q(x_0) and kept is a_t."""
  return Mixture(x0.weights,
                 np.sqrt(kept) * x0.means, kept * x0.variances + 1 - kept)


def denoised(x0, kept_s, kept_t, x_t):
  """q(x_s | x_t) for s < t, by Bayes within each component of x0.

  q(x_t | x_s) is normal: mean sqrt(r) x_s, variance 1 - r, r = a_t / a_s.
  """
  prior = diffused(x0, kept_s)
  r = kept_t / kept_s
  noise = 1 - r
  # How likely each component finds x_t, in logarithms: far from all components
  # every likelihood is 0 in double.
  evidence = r * prior.variances + noise
  log_weights = (np.log(prior.weights) - 0.5 * np.log(evidence) - 0.5 *
                 (x_t - np.sqrt(r) * prior.means)**2 / evidence)
  weights = np.exp(log_weights - log_weights.max())
  variances = prior.variances * noise / evidence
  means = variances * (prior.means / prior.variances + np.sqrt(r) * x_t / noise)
  return Mixture(weights / weights.sum(), means, variances)


def count_modes(density):
  """Local maxima of values on an even grid that ends where the density is low.

  One below a millionth of the highest counts as none: there it is rounding.
  """
  middle = density[1:-1]
  peak = (density[:-2] < middle) & (middle >= density[2:])
  return int(np.count_nonzero(peak & (middle > 1e-6 * density.max())))
