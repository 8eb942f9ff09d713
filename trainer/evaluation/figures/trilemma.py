"""Quality, sampling time and coverage of several models and samplers at once.

Above, the Fréchet distance to the data against the time of 100 images; below,
at the same times, how much of the data the samples reach. The best place is the
lower left corner above, and the upper left one below.
"""

from matplotlib import ticker

import label_placement
import results
import style

_MARKERS = {'ancestral': 'o', 'pc': 'D'}
_DDIM_MARKER = '^'
_ESTIMATED = '\N{DAGGER}'


def draw(path):
  """The figure of a file that `ddgan-evaluate trilemma --json` wrote.

  FigureError names what is wrong in the file.
  """
  data = results.read(path)
  figure = style.new_figure(height=5)
  quality, reach = figure.subplots(2, 1, sharex=True, height_ratios=(1.7, 1))
  colours = _colours(data.rows)
  for row in data.rows:
    look = {'marker': _MARKERS.get(row.sampler, _DDIM_MARKER),
            'markersize': 6.5, 'markeredgewidth': 1.3, 'linestyle': 'none',
            'color': colours[row.model], 'zorder': 3}
    quality.errorbar(row.seconds, row.fd, xerr=row.seconds_deviation,
                     elinewidth=1, **look)
    reach.plot([row.seconds] * 2, [row.recall, row.coverage], linestyle='-',
               color=colours[row.model], linewidth=1, alpha=0.5)
    reach.plot(row.seconds, row.recall, **look)
    reach.plot(row.seconds, row.coverage, **look | {'markerfacecolor': 'white'})

  times = [row.seconds for row in data.rows]
  _set_log(quality.xaxis, min(times) / 1.6, max(times) * 1.6)
  _set_distance_axis(quality, [row.fd for row in data.rows])
  quality.set_title(
      f'{data.data}, {data.samples:,} samples of each ({data.through}), features '
      f'{data.features}, k = {data.k} ({data.edge})', loc='left', fontsize=8,
      parse_math=False)
  quality.set_ylabel(f'{data.fd_name}\n(lower is better)', parse_math=False)
  reach.set(ylim=(-0.03, 1.03), ylabel='Share of the data\n(higher is better)')
  reach.set_xlabel(f'Seconds for 100 images ({data.machine}, log scale)',
                   parse_math=False)
  for axes in (quality, reach):
    axes.grid(True, which='major')
  _add_legend(reach, any(row.seconds_estimated for row in data.rows))
  label_placement.place(
      quality, [(row.seconds, row.fd, _label(row)) for row in data.rows])
  return figure


def _set_log(axis, low, high):
  """A logarithmic axis of this range, with numbers that a person reads."""
  axis.axes.set(**{f'{axis.axis_name}scale': 'log',
                   f'{axis.axis_name}lim': (low, high)})
  axis.set_major_formatter(ticker.FuncFormatter(lambda x, _: f'{x:g}'))
  axis.set_minor_formatter(ticker.NullFormatter())
  if high < 5 * low:
    axis.set_major_locator(ticker.MaxNLocator(5))
    axis.set_minor_locator(ticker.NullLocator())
  elif high < 1000 * low:
    axis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
    axis.set_minor_locator(ticker.LogLocator(subs=range(1, 10)))


def _set_distance_axis(axes, distances):
  """Logarithmic where distances would crowd at the foot of a linear axis."""
  low, high = min(distances), max(distances)
  if low > 0 and high > 5 * low:
    _set_log(axes.yaxis, low / 1.4, high * 1.4)
  else:
    axes.set_ylim(0, high * 1.2 or 1)


def _colours(rows):
  """One colour for each model, in the order of their first rows."""
  models = list(dict.fromkeys(row.model for row in rows))
  return {
      model: style.PALETTE[i % len(style.PALETTE)]
      for i, model in enumerate(models)
  }


def _label(row):
  return f'{row.model} {row.sampler}' + _ESTIMATED * row.seconds_estimated


def _add_legend(axes, with_estimated):
  how = {'marker': 'o', 'markersize': 6, 'markeredgewidth': 1.3,
         'linestyle': 'none', 'color': style.INK}
  full, = axes.plot([], [], label='recall', **how)
  empty, = axes.plot([], [], label='coverage',
                     **how | {'markerfacecolor': 'white'})
  axes.legend(handles=[full, empty], loc='lower left', bbox_to_anchor=(0, 1),
              ncols=2, borderaxespad=0.1, handletextpad=0.1)
  if with_estimated:
    axes.annotate(f'{_ESTIMATED} time extrapolated from a few evaluations',
                  (1, 1), xytext=(0, 6), xycoords='axes fraction',
                  textcoords='offset points', ha='right', fontsize=8)
