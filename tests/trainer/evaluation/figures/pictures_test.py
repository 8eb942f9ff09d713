"""The figures that are made of pictures: strip, grid and nearest neighbours.

Run by CTest, or by hand:
  PYTHONPATH=trainer/evaluation/figures python pictures_test.py
"""

import unittest

from matplotlib.backends.backend_agg import FigureCanvasAgg
import numpy as np

import figure_files
import nearest
import picture_grid
import strip
import style


def sheet(figure):
  """uint8 of all pictures of the figure, in dots of the PNG."""
  return figure.axes[0].get_images()[0].get_array()


def fields(dots):
  """Rectangles of a sheet without white in them: (row, column) spans.

  For pictures that have no white line or column of their own.
  """
  ink = (dots != 255).any(axis=2)

  def spans(line):
    edges = np.flatnonzero(np.diff(np.r_[False, line, False].astype(int)))
    return list(zip(edges[::2], edges[1::2]))

  return spans(ink.any(axis=1)), spans(ink.any(axis=0))


class StripTest(figure_files.FigureTest):

  def write(self, steps=4, size=32, channels=1, levels=None, **extra):
    levels = levels or list(range(steps + 1))
    return figure_files.write_folder(
        self.folder / 'data', 'strip', {
            'chain': figure_files.pictures(len(levels), size, size, channels),
            'samples': figure_files.pictures(
                len(levels) - 1, 3, size, size, channels)
        }, num_timesteps=steps, levels=levels, picture=0, data='mnist', **extra)

  def test_every_level_has_its_name_and_each_row_says_what_it_is(self):
    texts = figure_files.texts(self.drawn(strip.draw, self.write()))
    for text in ('$x_{0}$', '$x_{4}$', '$x_t$', "$x_0'$ given $x_t$",
                 'Of mnist/12060, seed 0.'):
      self.assertIn(text, texts)

  def test_pictures_are_where_they_belong_to_the_pixel(self):
    folder = self.write(channels=3)
    dots = sheet(self.drawn(strip.draw, folder))
    rows, columns = fields(dots)
    self.assertEqual((len(rows), len(columns)), (4, 5))
    chain = np.load(folder / 'chain.npy')
    samples = np.load(folder / 'samples.npy')
    times = (rows[0][1] - rows[0][0]) // 32
    for row, (top, _) in enumerate(rows):
      for column, (left, _) in enumerate(columns):
        shown = dots[top:top + 32 * times:times, left:left + 32 * times:times]
        if row == 0:
          np.testing.assert_array_equal(shown, chain[column])
        elif column == 0:
          self.assertTrue((shown == 255).all())
        else:
          np.testing.assert_array_equal(shown, samples[column - 1, row - 1])

  def test_seventeen_levels_and_large_pictures_fit_the_page(self):
    for arguments in ({'steps': 1000, 'levels': [62 * i for i in range(16)] +
                       [1000]}, {'size': 256, 'channels': 3}, {'steps': 1}):
      figure = self.drawn(strip.draw, self.write(**arguments))
      self.assertLessEqual(figure.get_size_inches()[0], style.WIDTH)

  def test_no_text_covers_another(self):
    figure = self.drawn(strip.draw, self.write(
        1000, levels=[62 * i for i in range(16)] + [1000]))
    renderer = FigureCanvasAgg(figure).get_renderer()
    boxes = [text.get_window_extent(renderer) for text in figure.texts]
    for i, box in enumerate(boxes):
      self.assertFalse(any(box.overlaps(other) for other in boxes[:i]))

  def test_levels_that_are_no_way_to_noise_are_one_sentence(self):
    for levels in ([0, 1, 2], [1, 2, 3, 4], [0, 2, 1, 4], [0, 1, 1, 4],
                   [0, 5], [0, -1], 'all', [], [0, True, 4], [0, 1.5, 4]):
      folder = self.write()
      figure_files.change(folder / 'figure.json', 'levels', to=levels)
      self.assertIn('levels', self.refused(strip.draw, folder))

  def test_pictures_for_other_levels_are_one_sentence(self):
    folder = self.write()
    figure_files.change(folder / 'figure.json', 'levels', to=[0, 1, 4])
    self.assertIn('chain has 5 pictures, levels 3',
                  self.refused(strip.draw, folder))

  def test_samples_of_another_shape_are_one_sentence(self):
    folder = figure_files.write_folder(
        self.folder / 'data', 'strip', {
            'chain': figure_files.pictures(3, 8, 8, 1),
            'samples': figure_files.pictures(2, 2, 8, 8, 1)
        }, num_timesteps=2, levels=[0, 1, 2])
    self.assertIn(
        'samples has shape [2, 2, 8, 8, 1], wanted is [2, 3, 8, 8, 1]',
        self.refused(strip.draw, folder))


class GridTest(figure_files.FigureTest):

  def write(self, count, columns, size=16):
    return figure_files.write_folder(
        self.folder / 'data', 'grid',
        {'samples': figure_files.pictures(count, size, size, 1)},
        columns=columns)

  def test_a_row_that_is_not_full_stays_white(self):
    folder = self.write(7, 3)
    dots = sheet(self.drawn(picture_grid.draw, folder))
    rows, columns = fields(dots)
    self.assertEqual((len(rows), len(columns)), (3, 3))
    self.assertTrue((dots[rows[2][0]:, columns[1][0]:] == 255).all())
    times = (rows[0][1] - rows[0][0]) // 16
    last = dots[rows[2][0]::times, :columns[0][1]:times]
    np.testing.assert_array_equal(
        last[..., :1], np.load(folder / 'samples.npy')[6])

  def test_fewer_pictures_than_columns_are_one_row(self):
    rows, columns = fields(
        sheet(self.drawn(picture_grid.draw, self.write(2, 8))))
    self.assertEqual((len(rows), len(columns)), (1, 2))

  def test_says_what_it_shows(self):
    texts = figure_files.texts(
        self.drawn(picture_grid.draw, self.write(4, 2)))
    self.assertIn('Of mnist/12060, seed 0.', '\n'.join(texts).replace(
        '0.\n', '0. ').replace('\n', ' '))

  def test_too_many_pictures_are_one_sentence(self):
    self.assertIn('samples.shape', self.refused(
        picture_grid.draw, self.write(1025, 64, size=1)))
    self.assertIn('1024 rows of 1 pictures do not fit', self.refused(
        picture_grid.draw, self.write(1024, 1, size=1)))


class NearestTest(figure_files.FigureTest):

  def write(self, count=3, size=16, **changed):
    arrays = {
        'generated': figure_files.pictures(count, size, size, 3),
        'feature_neighbours': figure_files.pictures(count, 5, size, size, 3),
        'pixel_neighbours': 255 - figure_files.pictures(
            count, 5, size, size, 3),
        'feature_distances': np.zeros((count, 5), np.float32),
        'pixel_distances': np.zeros((count, 5), np.float32)
    } | changed
    return figure_files.write_folder(
        self.folder / 'data', 'nearest', arrays, data='mnist',
        features={'name': 'digits', 'digest': '1' * 64},
        feature_rows=[[0] * 5] * count, pixel_rows=[[0] * 5] * count)

  def test_a_wide_gap_divides_the_generated_from_their_neighbours(self):
    _, columns = fields(sheet(self.drawn(nearest.draw, self.write())))
    gaps = [left - right for (_, right), (left, _) in zip(columns, columns[1:])]
    self.assertEqual(gaps, [48, 6, 6, 6, 6, 48, 6, 6, 6, 6])

  def test_neighbours_stand_in_the_row_of_their_picture(self):
    folder = self.write()
    dots = sheet(self.drawn(nearest.draw, folder))
    rows, columns = fields(dots)
    times = (rows[0][1] - rows[0][0]) // 16
    wanted = np.concatenate([
        np.load(folder / 'generated.npy')[:, np.newaxis],
        np.load(folder / 'feature_neighbours.npy'),
        np.load(folder / 'pixel_neighbours.npy')
    ], axis=1)
    for row, (top, bottom) in enumerate(rows):
      for column, (left, right) in enumerate(columns):
        np.testing.assert_array_equal(
            dots[top:bottom:times, left:right:times], wanted[row, column])

  def test_columns_have_heads_that_do_not_cover_each_other(self):
    for count, size in ((1, 16), (12, 16), (12, 55), (2, 256)):
      figure = self.drawn(nearest.draw, self.write(count, size))
      texts = figure_files.texts(figure)
      self.assertIn('generated', texts)
      self.assertIn('in feature space', texts)
      self.assertEqual(texts.count('5'), 2)
      renderer = FigureCanvasAgg(figure).get_renderer()
      boxes = [text.get_window_extent(renderer) for text in figure.texts]
      for i, box in enumerate(boxes):
        self.assertGreaterEqual(box.x0, 0)
        self.assertLessEqual(box.x1, figure.bbox.x1)
        self.assertFalse(any(box.overlaps(other) for other in boxes[:i]))

  def test_neighbours_of_other_pictures_are_one_sentence(self):
    folder = self.write(pixel_neighbours=figure_files.pictures(3, 4, 16, 16, 3))
    self.assertIn('pixel_neighbours has shape [3, 4, 16, 16, 3]',
                  self.refused(nearest.draw, folder))

  def test_more_rows_than_a_page_has_are_left_out(self):
    rows, _ = fields(sheet(self.drawn(nearest.draw, self.write(13))))
    self.assertEqual(len(rows), nearest.MOST_ROWS)


if __name__ == '__main__':
  unittest.main()
