"""Why few steps need a multimodal model, on the line, exactly.

Above, q(x_t) over t as a heat map between x_0's density and x_T's. Below, the
true denoising distribution q(x_{t-k} | x_t) for several k: one mode for small
steps, several for large ones, where no Gaussian fits any more.
"""

import math

import numpy as np

from figure_data import FigureError
import gaussian_diffusion
import style

STEPS = 1000  # T of the process; k of them at once is a model of T / k steps.
DATA = gaussian_diffusion.Mixture(
    np.array([0.5, 0.5]), np.array([-1.5, 1.5]), np.array([0.2, 0.2])**2)
MOST_PANELS = 5
LARGEST_VALUE = 2.8
_LABEL_WIDTH = 112  # Of "k = 500" in steps of t, with some air.
_X = np.linspace(-3, 3, 601)
_FINE_X = np.linspace(-6, 6, 12001)


def check(t, value, ks):
  """FigureError that names the flag whose value is out of its range."""
  if not 1 <= t <= STEPS:
    raise FigureError(f'--t: {t} is outside 1 .. {STEPS}')
  if not (math.isfinite(value) and abs(value) <= LARGEST_VALUE):
    raise FigureError(
        f'--value: {value} is outside -{LARGEST_VALUE:g} .. {LARGEST_VALUE:g}')
  if not 2 <= len(ks) <= MOST_PANELS:
    raise FigureError(
        f'--k: {len(ks)} step sizes, where 2 .. {MOST_PANELS} fit')
  if any(not 1 <= k <= t for k in ks) or sorted(set(ks)) != list(ks):
    raise FigureError(
        f'--k: {",".join(map(str, ks))} must rise within 1 .. t = {t}')


def draw(t=500, value=0.3, ks=(10, 125, 250, 500)):
  """The figure. Arguments as check()."""
  check(t, value, ks)
  kept = gaussian_diffusion.kept_variances(STEPS)
  figure = style.new_figure(height=4.7)
  above, below = figure.subfigures(2, 1, height_ratios=(1.25, 1), hspace=0.02)
  _draw_process(above, kept, t, value, ks)
  _draw_denoising(below, kept, t, value, ks)
  return figure


def _draw_process(part, kept, t, value, ks):
  first, heat, last = part.subplots(
      1, 3, sharey=True, width_ratios=(0.17, 1, 0.17),
      gridspec_kw={'wspace': 0})
  densities = np.stack(
      [gaussian_diffusion.diffused(DATA, a).density(_X) for a in kept], axis=1)
  image = heat.imshow(
      densities, cmap='Greys', vmin=0, aspect='auto', origin='lower',
      interpolation='bilinear', extent=(0, STEPS, _X[0], _X[-1]))
  heat.set(xlabel='Time $t$', xlim=(0, STEPS))
  heat.tick_params(left=False)
  for spine in heat.spines.values():
    spine.set_visible(True)
  for k, colour, row in zip(ks, style.PALETTE, _label_rows(ks)):
    # Above the frame, which the line of k = t would be half hidden by.
    heat.axvline(t - k, color=colour, linewidth=1.6, clip_on=False, zorder=3)
    heat.annotate(f'$k={k}$', (t - k, 1.02 + 0.09 * row),
                  xycoords=('data', 'axes fraction'), ha='center', va='bottom',
                  fontsize=8)
  heat.axvline(t, color=style.INK, linewidth=0.9, linestyle=(0, (4, 2)))
  heat.plot(t, value, marker='o', markersize=6, color='white',
            markeredgecolor=style.INK, markeredgewidth=1.4, zorder=5)
  right = t < 0.75 * STEPS  # There is room for the label.
  heat.annotate(f'$x_{{{t}}}={value:g}$', (t, value),
                xytext=(9 if right else -9, 0), textcoords='offset points',
                ha='left' if right else 'right', va='center', zorder=4,
                bbox={'facecolor': 'white', 'alpha': 0.75, 'edgecolor': 'none',
                      'boxstyle': 'round,pad=0.15'})
  for axes, column, name in ((first, 0, '0'), (last, -1, f'{{{STEPS}}}')):
    axes.fill_betweenx(_X, densities[:, column], color='#bdbdbd', linewidth=0)
    axes.plot(densities[:, column], _X, color=style.INK, linewidth=1)
    axes.set(title=f'$q(x_{name})$', xlabel='Density', xticks=(0.5, 1),
             xlim=(0, 1.12))
    axes.tick_params(left=axes is first)
  first.invert_xaxis()
  first.set(ylabel='$x_t$', ylim=(_X[0], _X[-1]))
  first.spines[['left', 'right']].set_visible(False)
  last.spines['left'].set_visible(False)
  scale = part.colorbar(image, ax=last, label='Density $q(x_t)$', fraction=0.2,
                        aspect=25, ticks=np.arange(0, 1, 0.2))
  scale.outline.set_visible(False)


def _label_rows(ks):
  """For each k the row of its label, such that none covers another."""
  ends = []  # Of each row: the k of its last label, which is the leftmost.
  rows = []
  for k in ks:
    row = next((i for i, end in enumerate(ends) if k - end >= _LABEL_WIDTH),
               len(ends))
    ends[row:row + 1] = [k]
    rows.append(row)
  return rows


def _draw_denoising(part, kept, t, value, ks):
  row = part.subplots(1, len(ks), sharex=True, sharey=True)
  for axes, k, colour in zip(row, ks, style.PALETTE):
    exact = gaussian_diffusion.denoised(DATA, kept[t - k], kept[t], value)
    density = exact.density(_X)
    gaussian = gaussian_diffusion.Mixture(
        np.ones(1), np.array([exact.mean()]), np.array([exact.variance()]))
    axes.fill_between(_X, density, color=colour, alpha=0.25, linewidth=0)
    axes.plot(_X, density, color=colour)
    axes.plot(_X, gaussian.density(_X), color=style.INK, linewidth=1,
              linestyle=(0, (3, 2)))
    modes = gaussian_diffusion.count_modes(exact.density(_FINE_X))
    axes.set(title=f'$k={k}$: {modes} mode{"s" if modes > 1 else ""}',
             xlabel=f'$x_{{{t - k}}}$', xlim=(_X[0], _X[-1]), xticks=(-2, 0, 2))
  row[0].set(ylabel=f'$q(x_{{t-k}}\\,|\\,x_{{{t}}}={value:g})$')
  row[0].set_ylim(bottom=0)
  exact_line, gaussian_line = row[0].get_lines()
  exact_area = row[0].collections[0]
  part.legend([(exact_area, exact_line), gaussian_line],
              ['exact', 'Gaussian of the same mean and variance'],
              loc='outside lower center', ncols=2)
