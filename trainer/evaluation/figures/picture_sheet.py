"""Pictures in rows and columns, at exact places of a figure.

A sheet is measured in dots of the PNG, and every picture is enlarged by a whole
number, so that its own pixels stay square and alike.
"""

import textwrap

from matplotlib.figure import Figure
import numpy as np
from PIL import Image

from figure_data import FigureError
import style

_DOTS = style.PNG_DOTS_PER_INCH
_TEXT_LINE = 28  # Dots from one line of text to the next.
_LETTER = 13.6  # Dots of the text's width, on average.
_MARGIN = 16  # Dots of white around everything.
_GAP = 6  # Dots between pictures.
SMALLEST = 8  # Dots of a picture that can still be told from another.


def fitted(picture, size):
  """uint8 [H, W, C] as gray or colour of at most `size` dots in each direction.

  A picture that is too large is averaged down.
  """
  picture = np.broadcast_to(picture, picture.shape[:2] + (3,))
  times = size // max(picture.shape[:2])
  if times >= 1:
    return picture.repeat(times, axis=0).repeat(times, axis=1)
  shrunk = Image.fromarray(np.ascontiguousarray(picture))
  shrunk.thumbnail((size, size), Image.Resampling.BOX)
  return np.asarray(shrunk)


def _gaps(count, wide_after, wide_gap):
  """Before each of `count` rows or columns, all gaps so far in dots."""
  return [_GAP * i + (wide_gap - _GAP) * sum(after < i for after in wide_after)
          for i in range(count)]


class PictureSheet:
  """Pictures of one shape in rows and columns, with text around them.

  Columns and rows count from 0. Gaps are alike but after the columns of
  `wide_after` and below the rows of `wide_below`.
  """

  def __init__(self, rows, columns, shape, *, wide_after=(), wide_below=(),
               wide_gap=48, above=0, left=0, most_height=8.5, caption=''):
    """`shape` is [H, W, C]; `above` lines of text and `left` dots for text, at
    most `most_height` inches of pictures, `caption` below.

    FigureError if there is no room for that many rows or columns.
    """
    gaps_x = _gaps(columns, wide_after, wide_gap)
    gaps_y = _gaps(rows, wide_below, wide_gap)
    width = round(style.WIDTH * _DOTS) - 2 * _MARGIN - left
    height = round(most_height * _DOTS)
    self._size = min((width - gaps_x[-1]) // columns,
                     (height - gaps_y[-1]) // rows)
    if self._size < SMALLEST:
      raise FigureError(f'{rows} rows of {columns} pictures do not fit a page')
    self._cell = fitted(np.zeros(shape, np.uint8), self._size).shape[:2]
    self._x = [_MARGIN + left + column * self._cell[1] + gap
               for column, gap in enumerate(gaps_x)]
    self._y = [_MARGIN + above * _TEXT_LINE + row * self._cell[0] + gap
               for row, gap in enumerate(gaps_y)]
    self._bottom = self._y[-1] + self._cell[0]
    self._right = self._x[-1] + self._cell[1]
    self._width = self._right + _MARGIN
    lines = textwrap.wrap(
        caption, max(round((self._right - _MARGIN) / _LETTER), 12))
    below = len(lines) * _TEXT_LINE + 12 if lines else 0
    self._height = self._bottom + below + _MARGIN
    self._dots = np.full(
        (self._bottom - self._y[0], self._right - self._x[0], 3), 255, np.uint8)
    self.figure = Figure(figsize=(self._width / _DOTS, self._height / _DOTS))
    if lines:
      self.write(_MARGIN, self._bottom + 12, '\n'.join(lines), va='top',
                 parse_math=False)

  def place(self, row, column, picture):
    """uint8 [H, W, C] of the sheet's shape."""
    y = self._y[row] - self._y[0]
    x = self._x[column] - self._x[0]
    dots = fitted(picture, self._size)
    self._dots[y:y + self._cell[0], x:x + self._cell[1]] = dots

  def left_of(self, column):
    """The dot at which a column begins."""
    return self._x[column]

  def middle_of(self, first, last=None):
    """The dot in the middle of columns first .. last."""
    last = first if last is None else last
    return (self._x[first] + self._x[last] + self._cell[1]) / 2

  def middle_of_rows(self, first, last):
    """The dot in the middle of rows first .. last."""
    return (self._y[first] + self._y[last] + self._cell[0]) / 2

  def write(self, x, y, text, **how):
    """Text at a dot of the whole figure, counted from its upper left corner."""
    how.setdefault('fontsize', 8)
    how.setdefault('linespacing', 1.1)
    return self.figure.text(x / self._width, 1 - y / self._height, text, **how)

  def head(self, x, text, line=0, **how):
    """Text above the pictures; line 0 is next to them."""
    how.setdefault('ha', 'center')
    return self.write(x, self._y[0] - 8 - line * _TEXT_LINE, text,
                      va='baseline', **how)

  def finish(self):
    """The figure, with the pictures in it."""
    axes = self.figure.add_axes(
        (self._x[0] / self._width, 1 - self._bottom / self._height,
         self._dots.shape[1] / self._width, self._dots.shape[0] / self._height))
    axes.imshow(self._dots, aspect='auto', interpolation='none')
    axes.set_axis_off()
    return self.figure
