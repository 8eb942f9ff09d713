"""Names beside the points of a plot, none over another or over a point."""

import itertools
import math

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.transforms import Bbox

from figure_data import FigureError
import style

# In printer's points.
_POINT = 6  # Half the width of a marker with air around it.
_AIR = 2
_FAR = 10  # From here on a thin line leads from a label to its point.

# Where a label lies, seen from its point: beside it first.
_ANGLES = (0, 180, 90, 270, 45, 315, 135, 225, 20, 340, 160, 200, 65, 115, 245,
           295)
_DISTANCES = range(0, 200, 5)


def place(axes, points):
  """Writes the text of each (x, y, text) near its place, in the axes' units.

  Whatever moves the axes (limits, scales, other parts of the figure) must be
  done. FigureError if a label finds no place: too many for the figure's size.
  """
  figure = axes.figure
  canvas = FigureCanvasAgg(figure)
  canvas.draw()  # The layout, and with it where everything is.
  figure.set_layout_engine('none')
  renderer = canvas.get_renderer()
  dots = figure.dpi / 72
  frame = axes.get_window_extent(renderer)
  centres = [axes.transData.transform((x, y)) for x, y, _ in points]
  taken = [_box(centre, 2 * _POINT * dots, 2 * _POINT * dots)
           for centre in centres]
  for (x, y, text), centre in zip(points, centres):
    label = axes.annotate(text, (x, y), xytext=(0, 0),
                          textcoords='offset points', ha='center', va='center',
                          fontsize=8, parse_math=False, zorder=4)
    size = label.get_window_extent(renderer)
    width, height = size.width + _AIR * dots, size.height + _AIR * dots
    offset = _free_offset(centre, width, height, dots, taken, frame)
    if offset is None:
      raise FigureError(f'the labels of {len(points)} points do not fit the '
                        'figure beside each other')
    label.set_position((offset[0] / dots, offset[1] / dots))
    taken.append(_box(centre + offset, width, height))
    _lead(axes, (x, y), offset, size, dots)


def _free_offset(centre, width, height, dots, taken, frame):
  """The first place, in dots from the point, that nothing has taken."""
  for distance, angle in itertools.product(_DISTANCES, _ANGLES):
    right = round(math.cos(math.radians(angle)), 9)
    up = round(math.sin(math.radians(angle)), 9)
    away = (_POINT + distance) * dots
    offset = (right * away + width / 2 * _sign(right),
              up * away + height / 2 * _sign(up))
    box = _box(centre + offset, width, height)
    if (frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 and
        box.y1 <= frame.y1 and not any(box.overlaps(other) for other in taken)):
      return offset
  return None


def _lead(axes, point, offset, size, dots):
  """A thin line to the label's nearest place, where that is far."""
  end = [_sign(middle) * max(abs(middle) - extent / 2, 0) / dots
         for middle, extent in zip(offset, (size.width, size.height))]
  if math.hypot(*end) > _FAR:
    axes.annotate('', point, xytext=end, textcoords='offset points',
                  arrowprops={'arrowstyle': '-', 'color': style.QUIET,
                              'linewidth': 0.7, 'shrinkA': 1, 'shrinkB': 4})


def _sign(value):
  return 0 if value == 0 else math.copysign(1, value)


def _box(centre, width, height):
  return Bbox.from_bounds(centre[0] - width / 2, centre[1] - height / 2, width,
                          height)
