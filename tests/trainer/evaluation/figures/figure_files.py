"""Small files as ddgan-evaluate writes them, for the tests of the figures."""

import json
import pathlib
import tempfile
import unittest
import warnings

import numpy as np

import figure_data
import style


class FigureTest(unittest.TestCase):
  """A folder for each test; a warning fails it."""

  def setUp(self):
    folder = tempfile.TemporaryDirectory(prefix='ddgan-figures-')
    self.addCleanup(folder.cleanup)
    self.folder = pathlib.Path(folder.name)
    caught = warnings.catch_warnings()
    caught.__enter__()
    self.addCleanup(caught.__exit__, None, None, None)
    warnings.simplefilter('error')

  def drawn(self, draw, *arguments):
    """The figure, written once, so that everything in it was laid out."""
    with style.applied():
      figure = draw(*arguments)
      style.save(figure, self.folder / 'drawn.png')
    return figure

  def refused(self, draw, *arguments):
    """The one sentence that says why."""
    with style.applied(), self.assertRaises(figure_data.FigureError) as caught:
      draw(*arguments)
    message = str(caught.exception)
    self.assertNotIn('\n', message)
    return message


def texts(figure):
  """Every text of the figure that is not empty."""
  return [
      text.get_text()
      for text in figure.findobj(lambda artist: hasattr(artist, 'get_text'))
      if text.get_text()
  ]


def pictures(*shape):
  """uint8 of this shape; the same at each call."""
  return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def write_folder(folder, kind, arrays, **extra):
  """figure.json and the arrays it names."""
  folder.mkdir(exist_ok=True)
  files = {}
  for name, array in arrays.items():
    np.save(folder / f'{name}.npy', array)
    files[name] = {
        'file': f'{name}.npy',
        'dtype': str(array.dtype),
        'shape': list(array.shape)
    }
  write_json(
      folder / 'figure.json', {
          'kind': kind,
          'files': files,
          'model': {
              'name': 'mnist',
              'version': 12060,
              'digest': '0' * 64
          },
          'sampler': 'ancestral',
          'evaluations': 4,
          'seed': 0,
          'caption': 'Of mnist/12060, seed 0.'
      } | extra)
  return folder


def write_json(path, value):
  path.write_text(json.dumps(value))
  return path


def change(path, *keys, to):
  """Replaces the field under these keys of a JSON file; removes it by None."""
  value = json.loads(path.read_text())
  parent = value
  for key in keys[:-1]:
    parent = parent[key]
  if to is None:
    del parent[keys[-1]]
  else:
    parent[keys[-1]] = to
  write_json(path, value)


def result_row(name='mnist/12060', sampler='ancestral', **changed):
  """One row of a trilemma file."""
  return {
      'name': name,
      'sampler': sampler,
      'evaluations': 4,
      'seconds_per_100_images': 1.5,
      'seconds_per_100_images_stddev': 0.01,
      'timing_estimated': False,
      'fd': 12.3,
      'kid': 0.01,
      'precision': 0.7,
      'recall': 0.5,
      'density': 0.8,
      'coverage': 0.6,
      'kl': None,
      'modes_covered': None,
      'samples': 10000
  } | changed


def write_results(path, rows, **changed):
  return write_json(
      path, {
          'evaluation': 'trilemma',
          'data': 'mnist',
          'data_choice': '',
          'data_samples': 60000,
          'features': {
              'name': 'digits',
              'digest': '1' * 64
          },
          'fd_name': 'FD-digits',
          'samples': 10000,
          'k': 3,
          'strict': False,
          'through': 'png',
          'seed': 0,
          'device': 'cpu',
          'threads': 2,
          'rows': rows
      } | changed)
