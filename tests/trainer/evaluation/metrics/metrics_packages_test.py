"""Our metrics against those of other people's packages, on the same features.

torch-fidelity 0.4.0, pytorch-fid 0.3.0 and prdc 0.2 compute, and print_metrics
does. Run by CTest, or by hand:
  LD_LIBRARY_PATH=$deps/metrics/cuda PYTHONPATH=$deps/libtorch-2.11.0-cpu \
  $deps/metrics/bin/python metrics_packages_test.py --program=print_metrics
"""

import argparse
import contextlib
import io
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

import numpy as np
from prdc import compute_prdc
from pytorch_fid.fid_score import calculate_frechet_distance
import torch
from torch_fidelity.metric_fid import (fid_features_to_statistics,
                                       fid_statistics_to_metric)
from torch_fidelity.metric_isc import isc_features_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric

program = None  # The print_metrics binary.


def features(seed, rows, count, spread=1.0, shift=0.0, mixing=0):
  """Correlated, and mostly 0 where negative, as those of networks are.

  Those of one `mixing` are of one distribution but for spread and shift.
  """
  mix = np.random.default_rng(mixing).normal(size=(count, count))
  draws = np.random.default_rng([7, seed]).normal(size=(rows, count))
  mixed = (draws @ mix) * (spread / np.sqrt(count)) + shift + 0.3
  return np.maximum(mixed, 0.1 * mixed).astype(np.float32)


def probabilities(seed, rows, classes):
  logits = np.random.default_rng(seed).normal(scale=2, size=(rows, classes))
  powers = np.exp(logits)
  return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)


def ours(real, generated, *options, metrics):
  """What print_metrics says of features that are on disk in float32."""
  assert real.dtype == generated.dtype == np.float32
  with tempfile.TemporaryDirectory(prefix='ddgan-metrics-') as folder:
    paths = [pathlib.Path(folder) / name for name in ('real', 'generated')]
    real.tofile(paths[0])
    generated.tofile(paths[1])
    return printed(f'--real={paths[0]}', f'--generated={paths[1]}',
                   f'--features={real.shape[1]}', f'--metrics={metrics}',
                   *options)


def our_inception_score(rows, splits):
  with tempfile.TemporaryDirectory(prefix='ddgan-metrics-') as folder:
    path = pathlib.Path(folder) / 'probabilities'
    rows.tofile(path)
    score = printed(f'--probabilities={path}', f'--classes={rows.shape[1]}',
                    f'--splits={splits}', '--metrics=inception')['inception']
    return score['mean'], score['stddev']


def printed(*arguments):
  result = subprocess.run([program, *arguments], capture_output=True,
                          text=True, timeout=300, check=False)
  assert result.returncode == 0, result.stderr
  return json.loads(result.stdout)


def doubles(rows):
  return torch.from_numpy(rows.astype(np.float64))


def fidelity_fid(real, generated):
  return fid_statistics_to_metric(
      fid_features_to_statistics(doubles(real)),
      fid_features_to_statistics(doubles(generated)),
      verbose=False)['frechet_inception_distance']


def fidelity_kid(real, generated, subset, subsets):
  distance = kid_features_to_metric(
      doubles(real), doubles(generated), kid_subsets=subsets,
      kid_subset_size=subset, rng_seed=3, verbose=False)
  return (distance['kernel_inception_distance_mean'],
          distance['kernel_inception_distance_std'])


def fidelity_precision_recall(real, generated, k, save_cpu_ram=False):
  metrics = prc_features_to_metric(
      generated, real, prc_neighborhood=k, prc_batch_size=1000,
      save_cpu_ram=save_cpu_ram, verbose=False)
  return metrics['precision'], metrics['recall']


def fidelity_inception_score(rows, splits):
  # What it takes are logits; these give the probabilities back.
  score = isc_features_to_metric(torch.log(doubles(rows)), splits=splits,
                                 shuffle=False)
  return score['inception_score_mean'], score['inception_score_std']


def prdc(real, generated, k):
  with contextlib.redirect_stdout(io.StringIO()):
    return {name: float(value)
            for name, value in compute_prdc(real, generated, k).items()}


class MetricsPackagesTest(unittest.TestCase):

  def assert_close(self, found, expected, share):
    self.assertLessEqual(abs(found - expected), share * abs(expected),
                         f'{found} is not {expected}')

  def test_frechet_distance(self):
    for rows, count in ((2000, 64), (700, 256)):
      real = features(1, rows, count)
      generated = features(2, rows + 100, count, spread=0.8, shift=0.1)
      with self.subTest(rows=rows, count=count):
        found = ours(real, generated, metrics='frechet')['frechet']['distance']
        self.assert_close(found, fidelity_fid(real, generated), 1e-6)
        self.assert_close(
            found,
            calculate_frechet_distance(
                real.mean(axis=0, dtype=np.float64), np.cov(real.T),
                generated.mean(axis=0, dtype=np.float64), np.cov(generated.T)),
            1e-6)

  def test_frechet_distance_of_fewer_rows_than_features(self):
    # Half of the eigenvalues are rounding errors here, of either sign.
    real = features(1, 100, 200)
    generated = features(2, 100, 200, spread=0.8, shift=0.1)
    found = ours(real, generated, metrics='frechet')['frechet']['distance']
    self.assert_close(found, fidelity_fid(real, generated), 1e-4)

  def test_frechet_distance_of_a_constant_model(self):
    real = features(1, 500, 32)
    generated = np.repeat(features(2, 1, 32), 500, axis=0)
    found = ours(real, generated, metrics='frechet')['frechet']['distance']
    self.assert_close(found, fidelity_fid(real, generated), 1e-9)

  def test_kernel_distance_of_all_rows(self):
    real = features(1, 1500, 48)
    generated = features(2, 1500, 48, spread=0.9)
    expected, _ = fidelity_kid(real, generated, 1500, 1)
    found = ours(real, generated, '--kid_subsets=2', '--kid_subset=1500',
                 metrics='kernel,kernel_of_all')
    self.assert_close(found['kernel_of_all']['distance'], expected, 1e-9)
    self.assert_close(found['kernel']['mean'], expected, 1e-9)
    self.assertLess(found['kernel']['stddev'], 1e-9 * expected)

  def test_kernel_distance_of_subsets(self):
    # Each draws its own subsets.
    real = features(1, 3000, 48)
    generated = features(2, 2500, 48, spread=0.9)
    mean, stddev = fidelity_kid(real, generated, 200, 200)
    found = ours(real, generated, '--kid_subsets=200', '--kid_subset=200',
                 metrics='kernel')['kernel']
    self.assertLess(abs(found['mean'] - mean), 5 * stddev * (2 / 200)**0.5)
    self.assert_close(found['stddev'], stddev, 0.25)

  def test_inception_score(self):
    rows = probabilities(1, 1000, 50)
    for splits in (1, 10):
      for found, expected in zip(our_inception_score(rows, splits),
                                 fidelity_inception_score(rows, splits)):
        self.assert_close(found, expected, 1e-6)

  def test_neighbour_metrics_of_prdc(self):
    generated = features(2, 1300, 40, spread=0.8)
    for name, real in (('apart', features(1, 1500, 40)),
                       # Pictures learnt by heart: distances are 0, and equal
                       # to radii.
                       ('copies', np.concatenate(
                           [generated[:400], features(1, 1000, 40)]))):
      for k in (1, 5):
        with self.subTest(name, k=k):
          found = ours(real, generated, f'--k={k}', '--strict',
                       metrics='neighbours')['neighbours']
          expected = prdc(real, generated, k)
          for figure, value in expected.items():
            self.assertAlmostEqual(found[figure], value, delta=1e-12,
                                   msg=figure)
          self.assertLess(expected['recall'], 0.999)

  def test_precision_and_recall_of_torch_fidelity(self):
    real = features(1, 1500, 40)
    generated = features(2, 1300, 40, spread=0.8)
    for k in (1, 3):
      found = ours(real, generated, f'--k={k}',
                   metrics='neighbours')['neighbours']
      figures = found['precision'], found['recall']
      for save_cpu_ram in (True, False):
        self.assertEqual(
            [round(figure, 6) for figure in figures],
            [round(figure, 6) for figure in fidelity_precision_recall(
                doubles(real), doubles(generated), k, save_cpu_ram)])
      # In float32, as it is used, it decides a few rows by rounding.
      for figure, value in zip(figures, fidelity_precision_recall(
          torch.from_numpy(real), torch.from_numpy(generated), k)):
        self.assertAlmostEqual(figure, value, delta=3 / 1300)

  def test_the_edge_of_a_ball_is_in_it_as_in_torch_fidelity(self):
    # Whole numbers: many distances are equal to radii.
    draw = np.random.default_rng(5)
    real = draw.integers(0, 6, size=(300, 3)).astype(np.float32)
    generated = draw.integers(3, 9, size=(280, 3)).astype(np.float32)
    found = {}
    for strict in (True, False):
      metrics = ours(real, generated, '--k=3', f'--strict={strict}',
                     metrics='neighbours')['neighbours']
      found[strict] = metrics['precision'], metrics['recall']
    # Whole squares are exact by any way of computing them.
    expected = fidelity_precision_recall(doubles(real), doubles(generated), 3)
    self.assertAlmostEqual(found[False][0], expected[0], delta=1e-6)
    self.assertAlmostEqual(found[False][1], expected[1], delta=1e-6)
    expected = prdc(real, generated, 3)
    self.assertAlmostEqual(found[True][0], expected['precision'], delta=1e-12)
    self.assertAlmostEqual(found[True][1], expected['recall'], delta=1e-12)
    self.assertNotEqual(found[True], found[False])


class HalvesTest(unittest.TestCase):
  """A data set against itself: what a perfect model would get."""

  SEEDS = 3  # Of how the data are cut into halves.

  def halves(self, seed):
    rows = features(1, 10000, 32)
    order = np.random.default_rng(seed).permutation(len(rows))
    return rows[order[:5000]], rows[order[5000:]]

  def test_halves(self):
    mine, theirs = [], []
    for seed in range(self.SEEDS):
      real, generated = self.halves(seed)
      found = ours(real, generated, '--k=5', '--kid_subset=500', '--strict',
                   metrics='frechet,kernel,neighbours')
      mine.append({'fid': found['frechet']['distance'],
                   'kid': found['kernel']['mean'],
                   **{name: found['neighbours'][name] for name in
                      ('precision', 'recall', 'density', 'coverage')}})
      kid, kid_stddev = fidelity_kid(real, generated, 500, 100)
      theirs.append({'fid': fidelity_fid(real, generated), 'kid': kid,
                     **prdc(real, generated, 5)})
      # Each has 100 random subsets of its own.
      self.assertLess(abs(mine[-1]['kid'] - kid),
                      5 * kid_stddev * (2 / 100)**0.5)
    for name in theirs[0]:
      our_figures = np.array([figures[name] for figures in mine])
      their_figures = np.array([figures[name] for figures in theirs])
      print(f'{name}: ours {our_figures}, theirs {their_figures}')
      self.assertGreater(np.ptp(their_figures), 0)
      if name != 'kid':
        # Not only closer to each other than one cut of the data is to another.
        np.testing.assert_allclose(our_figures, their_figures, rtol=1e-6)


if __name__ == '__main__':
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--program', required=True, type=pathlib.Path,
                      help='the print_metrics binary')
  options, rest = parser.parse_known_args()
  program = options.program.resolve()
  unittest.main(argv=[sys.argv[0], *rest], verbosity=2)
