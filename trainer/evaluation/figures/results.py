"""What `ddgan-evaluate trilemma --json` measured, checked."""

import re
from typing import NamedTuple

from figure_data import FigureError
from figure_data import read_json

MOST_ROWS = 64
_SAMPLER = re.compile(r'ancestral|pc|ddim:[1-9][0-9]{0,3}')
_LARGEST = 1e12


class Row(NamedTuple):
  """One model with one sampler."""
  model: str  # MODEL/VERSION
  sampler: str
  evaluations: int  # Of the generator, per image.
  seconds: float  # For a batch of 100 images, above 0.
  seconds_deviation: float  # Standard deviation over batches.
  seconds_estimated: bool  # A few evaluations were timed and multiplied.
  fd: float
  kid: float  # Below 0 by chance: the estimate is without bias.
  precision: float
  recall: float
  density: float
  coverage: float
  kl: float | None  # Of the classes to uniform, in nats; digits only.
  modes_covered: int | None  # Digits, or triples of digits, only.


class Results(NamedTuple):
  """All rows were measured with the same data, features and machine."""
  data: str  # 'mnist', or 'image_folder, classes ship'
  data_samples: int  # Real pictures.
  features: str  # Name of the network.
  fd_name: str  # 'FID' of Inception's features alone.
  samples: int
  through: str  # Format of files that pictures went through.
  k: int  # Neighbours, of precision, recall, density and coverage.
  edge: str  # Whether the edge of a ball is of precision's and recall's: <= or <
  machine: str  # 'cpu, 2 threads'
  rows: list[Row]


def read(path):
  """FigureError names the field that is wrong."""
  fields = read_json(path)
  fields.choice('evaluation', ('trilemma',))
  device = fields.text('device', most=40)
  threads = fields.integer('threads', 1, 4096)
  rows = [_row(row) for row in fields.objects('rows', MOST_ROWS)]
  choice = fields.text('data_choice', least=0, most=4096)
  labels = [(row.model, row.sampler) for row in rows]
  twice = next((label for label in labels if labels.count(label) > 1), None)
  if twice:
    raise FigureError(f'{path}: rows has {" with ".join(twice)} twice')
  return Results(
      data=fields.text('data') + (f', {choice}' if choice else ''),
      data_samples=fields.integer('data_samples', 1, 1 << 40),
      features=fields.fields('features').text('name', most=300),
      fd_name=fields.text('fd_name', most=300),
      samples=fields.integer('samples', 1, 1 << 30),
      through=fields.choice('through', ('png', 'jpeg75')),
      k=fields.integer('k', 1, 1000),
      edge='<' if fields.boolean('strict') else '<=', rows=rows,
      machine=f'{device}, {threads} thread{"s" if threads > 1 else ""}'
      if device == 'cpu' else device)


def _row(fields):
  sampler = fields.text('sampler', most=20)
  if not _SAMPLER.fullmatch(sampler):
    fields.refuse('sampler', 'ancestral, pc or ddim:K')
  return Row(
      model=fields.text('name', most=100), sampler=sampler,
      evaluations=fields.integer('evaluations', 1, 1 << 20),
      seconds=fields.number('seconds_per_100_images', 1e-6, 1e9),
      seconds_deviation=fields.number('seconds_per_100_images_stddev', 0, 1e9),
      seconds_estimated=fields.boolean('timing_estimated'),
      fd=fields.number('fd', 0, _LARGEST),
      kid=fields.number('kid', -_LARGEST, _LARGEST),
      precision=fields.number('precision', 0, 1),
      recall=fields.number('recall', 0, 1),
      density=fields.number('density', 0, _LARGEST),
      coverage=fields.number('coverage', 0, 1),
      kl=fields.number('kl', 0, _LARGEST) if fields.has('kl') else None,
      modes_covered=fields.integer('modes_covered', 0, 1000)
      if fields.has('modes_covered') else None)
