"""Draws a figure from what ddgan-evaluate wrote, or prints it as a table.

  draw.py density --out=density.png [--t=500 --value=0.3 --k=10,125,250,500]
  draw.py strip FOLDER --out=strip.png      of ddgan-evaluate figure_data strip
  draw.py grid FOLDER --out=grid.png        of ddgan-evaluate figure_data grid
  draw.py nearest FOLDER --out=nearest.png  of ddgan-evaluate nearest
  draw.py trilemma FILE --out=trilemma.png  of ddgan-evaluate trilemma --json
  draw.py table FILE                        the same file as Markdown

The ending of --out says whether it is PNG (200 dots per inch), PDF or SVG. It
is written all or nothing. Ends with 2 if a flag is bad, with 1 if an input or
--out is; either way with one sentence.
"""

import argparse
import sys

import density
import figure_data
import nearest
import picture_grid
import strip
import style
import table
import trilemma

_DRAWN = {'strip': strip, 'grid': picture_grid, 'nearest': nearest,
          'trilemma': trilemma}


class _Parser(argparse.ArgumentParser):

  def error(self, message):
    """One sentence, in the place of argparse's two paragraphs."""
    self.exit(2, f'draw.py: {message} (try --help)\n')


def _step_sizes(text):
  try:
    return [int(part) for part in text.split(',')]
  except ValueError:
    raise argparse.ArgumentTypeError(
        f"'{text}' is not integers with commas between them") from None


def _parse(arguments):
  parser = _Parser(prog='draw.py', description=__doc__, allow_abbrev=False,
                   formatter_class=argparse.RawDescriptionHelpFormatter)
  figures = parser.add_subparsers(dest='figure', required=True,
                                  metavar='FIGURE')
  for name in ('density', *_DRAWN, 'table'):
    figure = figures.add_parser(name, allow_abbrev=False)
    if name != 'density':
      figure.add_argument('source')
    if name != 'table':
      figure.add_argument('--out', required=True)
    if name == 'density':
      figure.add_argument('--t', type=int, default=500)
      figure.add_argument('--value', type=float, default=0.3)
      figure.add_argument('--k', type=_step_sizes, default=[10, 125, 250, 500])
  return parser.parse_args(arguments)


def main(arguments):
  """The exit code. Bad flags end the program."""
  options = _parse(arguments)
  try:
    if options.figure == 'table':
      sys.stdout.write(table.markdown(options.source))
      return 0
    style.check_out(options.out)
    with style.applied():
      if options.figure == 'density':
        figure = density.draw(options.t, options.value, options.k)
      else:
        figure = _DRAWN[options.figure].draw(options.source)
      style.save(figure, options.out)
  except figure_data.FigureError as error:
    print(f'draw.py: {error}', file=sys.stderr)
    return 1
  return 0


if __name__ == '__main__':
  sys.exit(main(sys.argv[1:]))
