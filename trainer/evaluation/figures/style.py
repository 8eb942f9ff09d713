"""How every figure looks, and how it is written."""

import os
import pathlib
import tempfile

import matplotlib
from matplotlib.figure import Figure

from figure_data import FigureError

ENDINGS = ('.png', '.pdf', '.svg')
PNG_DOTS_PER_INCH = 200
WIDTH = 6.75  # Inches: the text width of a paper in one column.

# Okabe and Ito's colours, which those tell apart who do not see red or green.
# In the order of use; the yellow is left out, since it is lost on white.
PALETTE = ('#0072B2', '#D55E00', '#009E73', '#CC79A7', '#E69F00', '#56B4E9',
           '#000000')
MARKERS = ('o', 's', '^', 'D', 'v', 'P', 'X')
INK = '#262626'
QUIET = '#8c8c8c'

_STYLE = {
    'font.family': 'DejaVu Sans',  # matplotlib brings it: alike everywhere.
    'font.size': 9,
    'axes.titlesize': 9,
    'axes.labelsize': 9,
    'xtick.labelsize': 8,
    'ytick.labelsize': 8,
    'legend.fontsize': 8,
    'mathtext.fontset': 'dejavusans',
    'text.color': INK,
    'axes.labelcolor': INK,
    'axes.edgecolor': INK,
    'xtick.color': INK,
    'ytick.color': INK,
    'axes.linewidth': 0.7,
    'xtick.major.width': 0.7,
    'ytick.major.width': 0.7,
    'xtick.major.size': 3,
    'ytick.major.size': 3,
    'xtick.minor.size': 1.8,
    'ytick.minor.size': 1.8,
    'axes.spines.top': False,
    'axes.spines.right': False,
    'axes.axisbelow': True,
    'grid.color': '#d9d9d9',
    'grid.linewidth': 0.6,
    'lines.linewidth': 1.5,
    'legend.frameon': False,
    'image.interpolation': 'none',  # A picture's own pixels.
    'figure.facecolor': 'white',
    'savefig.facecolor': 'white',
    # Letters travel with the file, as outlines in SVG and TrueType in PDF.
    'pdf.fonttype': 42,
    'svg.fonttype': 'path',
}


def applied():
  """A context in which figures are drawn and written."""
  return matplotlib.rc_context(_STYLE)


def new_figure(height, width=WIDTH):
  """Inches. Parts are laid out without overlap when it is drawn."""
  return Figure(figsize=(width, height), layout='constrained')


def check_out(path):
  """FigureError unless a figure can be written to `path` by its ending."""
  path = pathlib.Path(path)
  if path.suffix not in ENDINGS:
    raise FigureError(
        f"--out: '{path.name}' must end in one of {', '.join(ENDINGS)}")
  try:
    if not path.parent.is_dir():
      raise FigureError(f'--out: there is no folder {path.parent}')
    if path.is_dir():
      raise FigureError(f'--out: {path} is a folder')
  except (OSError, ValueError) as error:  # Too long, or with a null in it.
    raise FigureError(f'--out: {path}: {error}') from error


def save(figure, path):
  """Writes all or nothing: what is there stays until the new file is whole.

  FigureError if it cannot be written.
  """
  check_out(path)
  path = pathlib.Path(path)
  kind = path.suffix[1:]
  undated = {'png': {}, 'pdf': {'CreationDate': None}, 'svg': {'Date': None}}
  staging = None
  try:
    handle, staging = tempfile.mkstemp(
        prefix=f'.{path.name}.', suffix='.partial', dir=path.parent)
    with os.fdopen(handle, 'wb') as file:
      figure.savefig(
          file, format=kind, dpi=PNG_DOTS_PER_INCH, metadata=undated[kind])
      os.fchmod(file.fileno(), 0o644)
    os.replace(staging, path)
    staging = None
  except OSError as error:
    raise FigureError(f'--out: {path}: {error.strerror}') from error
  finally:
    if staging is not None:
      os.unlink(staging)
