"""The measurements behind the trilemma figure, as a Markdown table."""

import results


def markdown(path):
  """The table of a file that `ddgan-evaluate trilemma --json` wrote.

  One line for each row of the file in its order, below a sentence that says how
  all were measured. FigureError names what is wrong in the file.
  """
  data = results.read(path)
  # Heading, and what stands below it.
  columns = {
      'model': lambda row: row.model.replace('|', r'\|'),
      'sampler': lambda row: f'`{row.sampler}`',
      'evaluations': lambda row: f'{row.evaluations:,}',
      's / 100 images': _seconds,
      data.fd_name.replace('|', r'\|'): lambda row: _rounded(row.fd),
      'KID': lambda row: _rounded(row.kid),
      'precision': lambda row: f'{row.precision:.3f}',
      'recall': lambda row: f'{row.recall:.3f}',
      'density': lambda row: f'{row.density:.3f}',
      'coverage': lambda row: f'{row.coverage:.3f}',
  }
  if any(row.modes_covered is not None for row in data.rows):
    columns['modes'] = lambda row: _optional(row.modes_covered, '{:,}')
  if any(row.kl is not None for row in data.rows):
    columns['KL, nats'] = lambda row: _optional(row.kl, '{:.4f}')

  sentence = (f'{data.samples:,} samples of each through {data.through} against '
              f'{data.data_samples:,} of {data.data}, features {data.features}, '
              f'k = {data.k} ({data.edge}); times on {data.machine}.')
  if any(row.seconds_estimated for row in data.rows):
    sentence += ' ~ marks a few evaluations timed and multiplied.'
  lines = [sentence, '']
  lines.append('| ' + ' | '.join(columns) + ' |')
  lines.append('|---' * 2 + '|--:' * (len(columns) - 2) + '|')
  for row in data.rows:
    cells = [cell(row) for cell in columns.values()]
    lines.append('| ' + ' | '.join(cells) + ' |')
  return '\n'.join(lines) + '\n'


def _seconds(row):
  mark = '~' if row.seconds_estimated else ''
  return mark + _rounded(row.seconds)


def _rounded(value):
  """To three significant digits, without an exponent where that is short."""
  rounded = float(f'{value:.3g}')
  return f'{rounded:,.0f}' if abs(rounded) >= 100 else f'{rounded:g}'


def _optional(value, form):
  return '' if value is None else form.format(value)
