"""What the generator believes at each level of noise.

A real picture on its way to noise, x_0 .. x_T, and below each x_t three
pictures x_0' that the generator makes of it from three latents: alike where x_t
says much, different where it says little.
"""

from figure_data import FigureError
from figure_data import FigureFolder
from picture_sheet import PictureSheet

MOST_LEVELS = 17  # With level 0.
_MOST_STEPS = 1 << 20
_LATENTS = 3


def draw(folder):
  """The figure of a folder that `ddgan-evaluate figure_data strip` wrote.

  FigureError names what is wrong in the folder.
  """
  data = FigureFolder(folder, 'strip')
  steps = data.fields.integer('num_timesteps', 1, _MOST_STEPS)
  levels = data.fields.integers('levels', 0, steps, most=MOST_LEVELS)
  if levels != sorted(set(levels)) or levels[0] != 0 or levels[-1] != steps:
    data.fields.refuse('levels', f'levels that rise from 0 to {steps}')
  chain = data.pictures('chain', 4)
  samples = data.pictures('samples', 5)
  if len(chain) != len(levels):
    raise FigureError(f'{folder}: chain has {len(chain)} pictures, '
                      f'levels {len(levels)}')
  expected = (len(levels) - 1, _LATENTS) + chain.shape[1:]
  if samples.shape != expected:
    raise FigureError(f'{folder}: samples has shape {list(samples.shape)}, '
                      f'wanted is {list(expected)}')

  sheet = PictureSheet(
      1 + _LATENTS, len(levels), chain.shape[1:], wide_after=(0,),
      wide_below=(0,), wide_gap=24, above=1, left=44, most_height=4,
      caption=data.fields.text('caption', most=500))
  for column, level in enumerate(levels):
    sheet.head(sheet.middle_of(column), f'$x_{{{level}}}$')
    sheet.place(0, column, chain[column])
    for row in range(_LATENTS if column else 0):
      sheet.place(1 + row, column, samples[column - 1, row])
  sheet.write(sheet.left_of(0) - 14, sheet.middle_of_rows(0, 0), '$x_t$',
              ha='right', va='center')
  sheet.write(sheet.left_of(1) - 8, sheet.middle_of_rows(1, _LATENTS),
              "$x_0'$ given $x_t$", ha='right', va='center', rotation=90)
  return sheet.finish()
