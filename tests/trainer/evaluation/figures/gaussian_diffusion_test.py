"""The closed forms of the mixture, against the golden schedule, integrals that
know no closed form, and the process itself.

Run by CTest, or by hand:
  PYTHONPATH=trainer/evaluation/figures python gaussian_diffusion_test.py
"""

import pathlib
import unittest

import numpy as np
from safetensors.numpy import load_file

import gaussian_diffusion
from gaussian_diffusion import Mixture

GOLDEN = pathlib.Path(__file__).resolve().parents[3] / 'golden'

# Nothing about it is symmetric.
X0 = Mixture(
    np.array([0.3, 0.7]), np.array([-1.2, 0.9]), np.array([0.09, 0.04]))


def normal(x, mean, variance):
  return np.exp(-0.5 * (x - mean)**2 / variance) / np.sqrt(
      2 * np.pi * variance)


class ScheduleTest(unittest.TestCase):

  def setUp(self):
    self.golden = load_file(GOLDEN / 'schedules.safetensors')

  def test_betas_are_the_references_to_the_bit(self):
    for steps in (1, 2, 4, 8):
      np.testing.assert_array_equal(
          gaussian_diffusion.betas(steps), self.golden[f'vp.T{steps}.betas'])

  def test_what_is_kept_of_x0_is_the_references(self):
    for steps in (1, 2, 4, 8):
      np.testing.assert_allclose(
          np.sqrt(gaussian_diffusion.kept_variances(steps)),
          self.golden[f'vp.T{steps}.a_s_cum'], rtol=2e-6)


class DensityTest(unittest.TestCase):

  def test_is_that_of_its_gaussians(self):
    x = np.linspace(-3, 3, 13)
    np.testing.assert_allclose(
        X0.density(x),
        0.3 * normal(x, -1.2, 0.09) + 0.7 * normal(x, 0.9, 0.04))

  def test_moments_are_those_of_the_density(self):
    x, step = np.linspace(-8, 8, 160001, retstep=True)
    mass = X0.density(x) * step
    self.assertAlmostEqual(mass.sum(), 1)
    self.assertAlmostEqual(X0.mean(), (x * mass).sum())
    self.assertAlmostEqual(X0.variance(),
                           (x**2 * mass).sum() - (x * mass).sum()**2)


class ClosedFormTest(unittest.TestCase):

  def test_diffused_is_the_integral_over_x0(self):
    x0, step = np.linspace(-5, 5, 20001, retstep=True)
    x = np.linspace(-4, 4, 81)
    for kept in (0.999, 0.7, 0.05):
      noise = normal(x[:, np.newaxis], np.sqrt(kept) * x0, 1 - kept)
      np.testing.assert_allclose(
          gaussian_diffusion.diffused(X0, kept).density(x),
          (noise * X0.density(x0)).sum(1) * step, rtol=1e-9, atol=1e-12)

  def test_denoised_is_bayes_rule_by_integration(self):
    kept = gaussian_diffusion.kept_variances(1000)
    grid, step = np.linspace(-6, 6, 4001, retstep=True)
    for t, k, x_t in ((500, 10, 0.3), (500, 250, 0.3), (500, 499, -0.8),
                      (800, 400, 1.5), (1000, 900, -2.0)):
      a = kept[t - k]
      r = kept[t] / a
      prior = (normal(grid[:, np.newaxis], np.sqrt(a) * grid, 1 - a) *
               X0.density(grid)).sum(1) * step
      joint = prior * normal(x_t, np.sqrt(r) * grid, 1 - r)
      np.testing.assert_allclose(
          gaussian_diffusion.denoised(X0, a, kept[t], x_t).density(grid),
          joint / (joint.sum() * step), rtol=1e-7, atol=1e-9,
          err_msg=f't={t} k={k}')

  def test_denoised_to_the_data_is_bayes_rule_for_x0(self):
    kept = gaussian_diffusion.kept_variances(1000)
    grid, step = np.linspace(-6, 6, 24001, retstep=True)
    joint = X0.density(grid) * normal(0.2, np.sqrt(kept[300]) * grid,
                                      1 - kept[300])
    np.testing.assert_allclose(
        gaussian_diffusion.denoised(X0, kept[0], kept[300], 0.2).density(grid),
        joint / (joint.sum() * step), rtol=1e-4, atol=1e-6)

  def test_denoised_is_what_the_process_does_step_by_step(self):
    steps, t, k, x_t, near = 40, 24, 12, 0.4, 0.05
    betas = gaussian_diffusion.betas(steps).astype(np.float64)
    random = np.random.default_rng(7)
    paths = 1_500_000
    component = (random.random(paths) < X0.weights[1]).astype(int)
    x = X0.means[component] + np.sqrt(
        X0.variances[component]) * random.standard_normal(paths)
    for i in range(1, t + 1):
      if i == t - k + 1:
        earlier = x.copy()
      x *= np.sqrt(1 - betas[i])
      x += np.sqrt(betas[i]) * random.standard_normal(paths)
    seen = np.sort(earlier[np.abs(x - x_t) < near])
    self.assertGreater(len(seen), 20_000)

    kept = gaussian_diffusion.kept_variances(steps)
    exact = gaussian_diffusion.denoised(X0, kept[t - k], kept[t], x_t)
    grid, step = np.linspace(-6, 6, 12001, retstep=True)
    share = np.interp(seen, grid, np.cumsum(exact.density(grid)) * step)
    # Kolmogorov's distance: 1.63 / sqrt(n) is passed once in a hundred times.
    distance = np.abs(share - (np.arange(len(seen)) + 0.5) / len(seen)).max()
    self.assertLess(distance, 2 / np.sqrt(len(seen)))

  def test_far_from_all_data_nothing_overflows(self):
    kept = gaussian_diffusion.kept_variances(1000)
    far = gaussian_diffusion.denoised(X0, kept[0], kept[10], 1000.0)
    self.assertTrue(np.isfinite(far.means).all())
    self.assertAlmostEqual(far.weights.sum(), 1)


class CountModesTest(unittest.TestCase):

  def test_counts_what_is_there(self):
    x = np.linspace(-6, 6, 2401)
    one = Mixture(np.ones(1), np.zeros(1), np.ones(1))
    self.assertEqual(gaussian_diffusion.count_modes(one.density(x)), 1)
    self.assertEqual(gaussian_diffusion.count_modes(X0.density(x)), 2)

  def test_a_shoulder_is_no_mode(self):
    x = np.linspace(-6, 6, 2401)
    near = Mixture(np.array([0.5, 0.5]), np.array([-0.9, 0.9]), np.ones(2))
    self.assertEqual(gaussian_diffusion.count_modes(near.density(x)), 1)

  def test_rounding_in_the_tails_is_no_mode(self):
    x = np.linspace(-6, 6, 12001)
    narrow = Mixture(np.ones(1), np.array([0.3]), np.array([0.0177]))
    self.assertEqual(gaussian_diffusion.count_modes(narrow.density(x)), 1)


if __name__ == '__main__':
  unittest.main()
