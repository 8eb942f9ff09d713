"""The figure of the true denoising distribution.

Run by CTest, or by hand:
  PYTHONPATH=trainer/evaluation/figures python density_test.py
"""

import pathlib
import unittest

from matplotlib.backends.backend_agg import FigureCanvasAgg
import numpy as np
from PIL import Image

import density
import figure_files
import gaussian_diffusion


def panels(figure):
  """The axes of the two parts: (x_0, heat map, x_T) and one for each k."""
  above, below = figure.subfigs
  return above.axes[:3], below.axes


class DensityFigureTest(figure_files.FigureTest):

  def test_small_steps_have_one_mode_and_large_ones_two(self):
    kept = gaussian_diffusion.kept_variances(density.STEPS)
    x = np.linspace(-6, 6, 12001)
    modes = [
        gaussian_diffusion.count_modes(
            gaussian_diffusion.denoised(density.DATA, kept[500 - k], kept[500],
                                        0.3).density(x))
        for k in (1, 10, 125, 250, 375, 500)
    ]
    self.assertEqual(modes, [1, 1, 1, 2, 2, 2])
    titles = [axes.get_title() for axes in panels(self.drawn(density.draw))[1]]
    self.assertEqual(titles, [
        '$k=10$: 1 mode', '$k=125$: 1 mode', '$k=250$: 2 modes',
        '$k=500$: 2 modes'
    ])

  def test_every_axis_says_what_it_measures(self):
    (first, heat, last), below = panels(self.drawn(density.draw))
    self.assertEqual(heat.get_xlabel(), 'Time $t$')
    self.assertEqual(first.get_ylabel(), '$x_t$')
    self.assertEqual([first.get_xlabel(), last.get_xlabel()], ['Density'] * 2)
    self.assertEqual([axes.get_xlabel() for axes in below],
                     ['$x_{490}$', '$x_{375}$', '$x_{250}$', '$x_{0}$'])
    self.assertIn('x_{500}=0.3', below[0].get_ylabel())

  def test_the_heat_map_marks_what_the_panels_show(self):
    (_, heat, _), _ = panels(self.drawn(density.draw, 600, -0.5, [100, 400]))
    lines = [line.get_xdata() for line in heat.get_lines()]
    self.assertEqual([line[0] for line in lines], [500, 200, 600, 600])
    self.assertEqual(heat.get_lines()[-1].get_ydata(), [-0.5])

  def test_the_heat_map_runs_from_the_data_to_noise(self):
    (first, heat, last), _ = panels(self.drawn(density.draw))
    image = heat.get_images()[0].get_array()
    for axes, column in ((first, 0), (last, -1)):
      np.testing.assert_array_equal(axes.get_lines()[0].get_xdata(),
                                    image[:, column])
    height = np.linspace(-3, 3, len(image))
    np.testing.assert_allclose(image[:, 0], density.DATA.density(height),
                               rtol=1e-4, atol=1e-6)
    noise = np.exp(-0.5 * height**2) / np.sqrt(2 * np.pi)
    np.testing.assert_allclose(image[:, -1], noise, atol=1e-3)

  def test_every_panel_holds_the_exact_density(self):
    kept = gaussian_diffusion.kept_variances(density.STEPS)
    _, below = panels(self.drawn(density.draw))
    for k, axes in zip((10, 125, 250, 500), below):
      exact = axes.get_lines()[0]
      np.testing.assert_allclose(
          exact.get_ydata(),
          gaussian_diffusion.denoised(density.DATA, kept[500 - k], kept[500],
                                      0.3).density(exact.get_xdata()))

  def test_labels_of_near_levels_do_not_cover_each_other(self):
    for ks in ([1, 2, 3, 4, 5], [10, 125, 250, 500], [100, 150, 260, 300, 900]):
      figure = self.drawn(density.draw, 900, 0.0, ks)
      heat = figure.subfigs[0].axes[1]
      renderer = FigureCanvasAgg(figure).get_renderer()
      boxes = [text.get_window_extent(renderer) for text in heat.texts]
      for i, box in enumerate(boxes):
        self.assertFalse(any(box.overlaps(other) for other in boxes[:i]), ks)

  def test_the_picture_beside_the_program_is_what_it_draws(self):
    self.drawn(density.draw)
    kept = pathlib.Path(density.__file__).with_name('density.png')
    old, new = (np.asarray(Image.open(path).convert('RGB'), float)
                for path in (kept, self.folder / 'drawn.png'))
    self.assertEqual(old.shape, new.shape)
    # Another processor may round a pixel otherwise.
    self.assertLess(np.abs(old - new).mean(), 0.1)

  def test_a_value_out_of_its_range_is_one_sentence(self):
    for t, value, ks, name in (
        (0, 0.3, [1, 2], '--t: 0'), (1001, 0.3, [1, 2], '--t: 1001'),
        (500, float('nan'), [1, 2], '--value: nan'),
        (500, 2.9, [1, 2], '--value: 2.9'), (500, 0.3, [1], '--k: 1 step'),
        (500, 0.3, [1, 2, 3, 4, 5, 6], '--k: 6 step'),
        (500, 0.3, [2, 1], '--k: 2,1 must rise'),
        (500, 0.3, [0, 1], '--k: 0,1 must'),
        (500, 0.3, [1, 501], '--k: 1,501')):
      self.assertIn(name, self.refused(density.draw, t, value, ks))


if __name__ == '__main__':
  unittest.main()
