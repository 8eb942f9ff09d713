"""Quality against time, and the table of the same numbers.

Run by CTest, or by hand:
  PYTHONPATH=trainer/evaluation/figures python trilemma_test.py
"""

import unittest

from matplotlib.transforms import Bbox

from figure_files import result_row
import figure_files
import results
import table
import trilemma

CROWD = [
    result_row(f'model_{i // 4}/4000', sampler, fd=6 + 0.1 * i,
               seconds_per_100_images=1 + 0.05 * i, recall=0.5 + 0.01 * i)
    for i, sampler in enumerate(('ancestral', 'pc', 'ddim:10', 'ddim:50') * 6)
]


class TrilemmaFigureTest(figure_files.FigureTest):

  def write(self, rows, **changed):
    return figure_files.write_results(
        self.folder / 'trilemma.json', rows, **changed)

  def draw(self, rows, **changed):
    return self.drawn(trilemma.draw, self.write(rows, **changed))

  def test_axes_say_what_they_measure_and_in_what(self):
    quality, reach = self.draw([result_row()]).axes
    self.assertEqual(quality.get_xscale(), 'log')
    self.assertEqual(
        quality.get_title('left'),
        'mnist, 10,000 samples of each (png), features digits, k = 3 (<=)')
    self.assertEqual(reach.get_xlabel(),
                     'Seconds for 100 images (cpu, 2 threads, log scale)')
    self.assertEqual(quality.get_ylabel(), 'FD-digits\n(lower is better)')
    self.assertIn('higher is better', reach.get_ylabel())
    self.assertEqual([text.get_text() for text in reach.get_legend().texts],
                     ['recall', 'coverage'])

  def test_every_row_is_a_point_with_its_name(self):
    rows = [result_row(), result_row(sampler='ddim:50', fd=3,
                                     seconds_per_100_images=20)]
    quality, reach = self.draw(rows).axes
    self.assertEqual(
        sorted(text.get_text() for text in quality.texts if text.get_text()),
        ['mnist/12060 ancestral', 'mnist/12060 ddim:50'])
    points = [(line.get_xdata()[0], line.get_ydata()[0])
              for line in quality.get_lines() if line.get_marker() in 'o^']
    self.assertEqual(points, [(1.5, 12.3), (20, 3)])
    shares = [line.get_ydata()[0] for line in reach.get_lines()
              if line.get_marker() in ('o', '^') and len(line.get_ydata())]
    self.assertEqual(shares, [0.5, 0.6] * 2)

  def test_one_colour_for_a_model_and_one_marker_for_a_sampler(self):
    rows = [result_row('a/1'), result_row('b/1', fd=5),
            result_row('b/1', 'pc', fd=4)]
    quality, _ = self.draw(rows).axes
    looks = [(line.get_color(), line.get_marker())
             for line in quality.get_lines() if line.get_marker() in 'oD']
    self.assertNotEqual(looks[0][0], looks[1][0])
    self.assertEqual(looks[1][0], looks[2][0])
    self.assertEqual([marker for _, marker in looks], ['o', 'o', 'D'])

  def test_no_label_covers_another_or_a_point_or_leaves_the_axes(self):
    for rows in (CROWD[:1], CROWD[:10], CROWD,
                 [result_row('m' * 40 + f'/{i}') for i in range(6)]):
      figure = self.draw(rows)
      quality = figure.axes[0]
      renderer = figure.canvas.get_renderer()
      boxes = [text.get_window_extent(renderer)
               for text in quality.texts if text.get_text()]
      self.assertEqual(len(boxes), len(rows))
      frame = quality.get_window_extent(renderer)
      radius = 3 * figure.dpi / 72  # Of a marker.
      markers = []
      for row in rows:
        x, y = quality.transData.transform(
            (row['seconds_per_100_images'], row['fd']))
        markers.append(
            Bbox([[x - radius, y - radius], [x + radius, y + radius]]))
      for i, box in enumerate(boxes):
        self.assertFalse(any(box.overlaps(other) for other in boxes[:i]))
        self.assertFalse(any(box.overlaps(other) for other in markers))
        self.assertTrue(frame.x0 <= box.x0 and box.x1 <= frame.x1)
        self.assertTrue(frame.y0 <= box.y0 and box.y1 <= frame.y1)

  def test_labels_for_which_there_is_no_room_are_one_sentence(self):
    rows = [result_row('m' * 55 + f'/{i}') for i in range(24)]
    self.assertIn('labels of 24 points do not fit', self.refused(
        trilemma.draw, self.write(rows)))

  def test_distances_over_decades_get_a_logarithmic_axis(self):
    rows = [result_row(), result_row(sampler='pc', fd=2000)]
    self.assertEqual(self.draw(rows).axes[0].get_yscale(), 'log')
    rows[1]['fd'] = 0
    quality = self.draw(rows).axes[0]
    self.assertEqual(quality.get_yscale(), 'linear')
    self.assertEqual(quality.get_ylim()[0], 0)

  def test_every_range_of_distances_and_times_has_numbers_on_its_axes(self):
    for fd in ((3.1, 3.2), (0, 0), (900, 1100), (1e-5, 1e5), (4, 30)):
      for seconds in ((1, 1.1), (3, 4), (0.001, 5000)):
        figure = self.draw([
            result_row(fd=fd[0], seconds_per_100_images=seconds[0]),
            result_row(sampler='pc', fd=fd[1],
                       seconds_per_100_images=seconds[1])
        ])
        for axis in (figure.axes[0].yaxis, figure.axes[1].xaxis):
          low, high = sorted(axis.get_view_interval())
          shown = [tick for tick in axis.get_ticklabels(which='both')
                   if tick.get_text() and low <= _place(axis, tick) <= high]
          self.assertGreaterEqual(len(shown), 2, (fd, seconds, axis))

  def test_an_estimated_time_is_marked_and_explained(self):
    texts = figure_files.texts(self.draw([result_row(timing_estimated=True)]))
    self.assertIn('mnist/12060 ancestral\N{DAGGER}', texts)
    self.assertTrue(any(text.startswith('\N{DAGGER} time') for text in texts))
    texts = figure_files.texts(self.draw([result_row()]))
    self.assertFalse(any('\N{DAGGER}' in text for text in texts))

  def test_a_name_is_never_taken_for_a_formula(self):
    texts = figure_files.texts(self.draw(
        [result_row(r'$\frac{/1')], fd_name=r'FD-$x_', device='$gpu'))
    self.assertIn(r'$\frac{/1 ancestral', texts)


class ResultsTest(figure_files.FigureTest):

  def refusal(self, *keys, to):
    path = figure_files.write_results(
        self.folder / 'trilemma.json', [result_row(), result_row('b/2')])
    figure_files.change(path, *keys, to=to)
    return self.refused(results.read, path)

  def test_a_bad_field_is_named(self):
    for keys, to in (
        (('evaluation',), 'mnist'), (('rows',), []), (('rows',), [{}] * 65),
        (('rows',), 7), (('samples',), 0), (('k',), 'three'),
        (('threads',), 1.5), (('device',), ''), (('fd_name',), 'x' * 301),
        (('features',), []), (('features', 'name'), None), (('data',), 3)):
      self.assertIn(keys[-1], self.refusal(*keys, to=to))

  def test_a_bad_field_of_a_row_is_named_with_its_row(self):
    for name, to in (
        ('name', None), ('name', 'two\nlines'), ('sampler', 'ddim'),
        ('sampler', 'ddim:0'), ('sampler', 'euler'),
        ('evaluations', 0), ('evaluations', True),
        ('seconds_per_100_images', 0), ('seconds_per_100_images', -1),
        ('seconds_per_100_images', float('nan')),
        ('seconds_per_100_images_stddev', float('inf')), ('fd', -1),
        ('fd', '12'), ('kid', 'x'), ('recall', 1.01), ('coverage', -0.01),
        ('precision', 2), ('density', -1), ('timing_estimated', 0),
        ('kl', -1), ('modes_covered', 1001)):
      self.assertIn(f'rows[1].{name} ', self.refusal('rows', 1, name, to=to))

  def test_the_same_model_and_sampler_twice_is_one_sentence(self):
    self.assertIn('mnist/12060 with ancestral twice',
                  self.refusal('rows', 1, 'name', to='mnist/12060'))


class TableTest(figure_files.FigureTest):

  def table(self, rows, **changed):
    return table.markdown(figure_files.write_results(
        self.folder / 'trilemma.json', rows, **changed)).splitlines()

  def test_says_how_it_was_measured_and_names_the_distance(self):
    lines = self.table([result_row()])
    self.assertEqual(
        lines[0], '10,000 samples of each through png against 60,000 of mnist, '
        'features digits, k = 3 (<=); times on cpu, 2 threads.')
    other = self.table([result_row()], strict=True, through='jpeg75',
                       data_choice='classes 7', data_samples=6265)
    self.assertIn('through jpeg75 against 6,265 of mnist, classes 7, features '
                  'digits, k = 3 (<);', other[0])
    self.assertIn('| FD-digits |', lines[2])
    self.assertNotIn('FID', lines[2])

  def test_a_row_holds_the_numbers_of_the_file(self):
    self.assertEqual(
        self.table([result_row(fd=12.345, seconds_per_100_images=1234.5,
                               evaluations=1000, kid=-0.00012345)])[4:],
        ['| mnist/12060 | `ancestral` | 1,000 | 1,230 | 12.3 | -0.000123 | '
         '0.700 | 0.500 | 0.800 | 0.600 |'])

  def test_every_line_has_the_same_columns(self):
    lines = self.table([result_row(), result_row('b|c/1', kl=0.08,
                                                 modes_covered=10)])[2:]
    self.assertEqual({line.replace(r'\|', '').count('|') for line in lines},
                     {13})
    self.assertTrue(lines[0].endswith('| modes | KL, nats |'))
    self.assertTrue(lines[2].endswith('| 0.600 |  |  |'))
    self.assertTrue(lines[3].endswith('| 0.600 | 10 | 0.0800 |'))

  def test_an_estimated_time_is_marked_and_explained(self):
    lines = self.table([result_row(timing_estimated=True)])
    self.assertIn('~ marks', lines[0])
    self.assertIn('| ~1.5 |', lines[4])


def _place(axis, tick):
  return tick.get_position()[1 if axis.axis_name == 'y' else 0]


if __name__ == '__main__':
  unittest.main()
