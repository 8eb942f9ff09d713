"""Whether a model copies: generated pictures and the training pictures that are
nearest to each, by the features of a network and by pixels."""

from figure_data import FigureError
from figure_data import FigureFolder
from picture_sheet import PictureSheet

MOST_ROWS = 12
_NEIGHBOURS = 5
_GROUPS = (('feature', 'in feature space'), ('pixel', 'in pixels'))


def draw(folder):
  """The figure of a folder that `ddgan-evaluate nearest` wrote, of its first
  MOST_ROWS pictures.

  FigureError names what is wrong in the folder.
  """
  data = FigureFolder(folder, 'nearest')
  generated = data.pictures('generated', 4)
  neighbours = []
  for name, _ in _GROUPS:
    pictures = data.pictures(f'{name}_neighbours', 5)
    expected = (len(generated), _NEIGHBOURS) + generated.shape[1:]
    if pictures.shape != expected:
      raise FigureError(f'{folder}: {name}_neighbours has shape '
                        f'{list(pictures.shape)}, wanted is {list(expected)}')
    neighbours.append(pictures)
  generated = generated[:MOST_ROWS]

  sheet = PictureSheet(
      len(generated), 1 + len(_GROUPS) * _NEIGHBOURS, generated.shape[1:],
      wide_after=tuple(_NEIGHBOURS * i for i in range(len(_GROUPS))), above=3,
      caption=data.fields.text('caption', most=500))
  sheet.head(sheet.left_of(0), 'generated', ha='left')
  for row, picture in enumerate(generated):
    sheet.place(row, 0, picture)
  for group, (_, how) in enumerate(_GROUPS):
    first = 1 + group * _NEIGHBOURS
    last = first + _NEIGHBOURS - 1
    middle = sheet.middle_of(first, last)
    sheet.head(middle, 'nearest training pictures', line=2)
    sheet.head(middle, how, line=1)
    for rank in range(_NEIGHBOURS):
      sheet.head(sheet.middle_of(first + rank), str(rank + 1))
      for row in range(len(generated)):
        sheet.place(row, first + rank, neighbours[group][row, rank])
  return sheet.finish()
