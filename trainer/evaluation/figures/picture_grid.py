"""Samples of a model, as they came: not one of them chosen."""

from figure_data import FigureFolder
from picture_sheet import PictureSheet

MOST_COLUMNS = 64


def draw(folder):
  """The figure of a folder that `ddgan-evaluate figure_data grid` wrote.

  FigureError names what is wrong in the folder.
  """
  data = FigureFolder(folder, 'grid')
  columns = data.fields.integer('columns', 1, MOST_COLUMNS)
  pictures = data.pictures('samples', 4)
  columns = min(columns, len(pictures))
  rows = -(-len(pictures) // columns)
  sheet = PictureSheet(
      rows, columns, pictures.shape[1:],
      caption=data.fields.text('caption', most=500))
  for i, picture in enumerate(pictures):
    sheet.place(i // columns, i % columns, picture)
  return sheet.finish()
