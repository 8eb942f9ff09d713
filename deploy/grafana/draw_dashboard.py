"""Draws a dashboard as a picture, with the series that a Prometheus has of it.

For the pictures in deploy/README.md; whoever has Grafana looks at that instead.
Needs matplotlib (made with 3.11.2) and Pillow.

  python3 -m venv /tmp/draw && /tmp/draw/bin/pip install matplotlib==3.11.2 Pillow
  /tmp/draw/bin/python deploy/grafana/draw_dashboard.py \
      --prometheus=http://127.0.0.1:9090 --seconds=300 --rate_interval=20s \
      --dashboard=deploy/grafana/serving_dashboard.json --out=serving.png
"""

import argparse
import datetime
import json
import math
import re
import time
import urllib.parse
import urllib.request

import matplotlib.colors
import matplotlib.dates
import matplotlib.patches
import matplotlib.pyplot as plt
import matplotlib.ticker
import PIL.Image

POINTS = 150  # In a line.
BACKGROUND, PANEL, TEXT, FAINT = '#111217', '#181b1f', '#d5d6d9', '#33363c'
COLOURS = ('#73bf69', '#f2cc0c', '#8ab8ff', '#ff780a', '#f2495c', '#b877d9',
           '#5794f2', '#37872d', '#fade2a', '#447ebc')
# Inches of a column and of a row of Grafana's grid.
COLUMN, ROW = 0.62, 0.32

options = None  # Set by main().


def ask(path, **parameters):
  with urllib.request.urlopen(
      f'{options.prometheus}/api/v1/{path}?{urllib.parse.urlencode(parameters)}',
      timeout=60) as reply:
    return json.load(reply)['data']['result']


def series_of(target, variables):
  """(legend, times, values) of each line of a target."""
  end = options.end
  lines = []
  for found in ask('query_range', query=filled(target['expr'], variables),
                   start=end - options.seconds, end=end,
                   step=options.seconds / POINTS):
    times, values = zip(*((datetime.datetime.fromtimestamp(moment),
                           float(value)) for moment, value in found['values']))
    legend = re.sub(r'{{(\w+)}}',
                    lambda match: found['metric'].get(match[1], ''),
                    target['legendFormat'])
    lines.append((legend.strip(), times, values))
  return sorted(lines, key=lambda line: line[0])


def filled(text, variables):
  for name, value in variables.items():
    text = text.replace('$' + name, value)
  return text


def with_unit(value, unit, narrow=False):
  """A number as Grafana would print it, or narrow enough for an axis."""
  if not math.isfinite(value):
    return '∞'
  if unit == 'percentunit':
    return f'{100 * value:.3g} %'
  if unit == 's':
    for size, name in ((86400, 'd'), (3600, 'h'), (60, 'min')):
      if abs(value) >= 2 * size:
        return f'{value / size:.3g} {name}'
    if value == 0 or abs(value) >= 1:
      return f'{value:.3g} s'
    return (f'{value * 1e3:.3g} ms' if abs(value) >= 1e-3
            else f'{value * 1e6:.3g} µs')
  if unit == 'bytes':
    for size, name in ((1 << 30, 'GiB'), (1 << 20, 'MiB'), (1 << 10, 'KiB')):
      if abs(value) >= size:
        return f'{value / size:.3g} {name}'
    return f'{value:.3g} B'
  if unit == 'reqps':
    return f'{value:.3g} req/s'
  suffix = unit.removeprefix('suffix:') if unit.startswith('suffix:') else ''
  if narrow and abs(value) >= 1000:
    return f'{value / 1000:.3g}k{suffix}'
  return (f'{value:,.0f}' if abs(value) >= 1000 else f'{value:.3g}') + suffix


def draw_lines(axes, panel, variables):
  defaults = panel['fieldConfig']['defaults']
  custom = defaults['custom']
  lines = [line for target in panel['targets']
           for line in series_of(target, variables)]
  colours = [COLOURS[number % len(COLOURS)] for number in range(len(lines))]
  stacked = custom['stacking']['mode'] == 'normal'
  if stacked and lines:
    moments = sorted({moment for _, times, _ in lines for moment in times})
    rows = []
    for _, times, values in lines:
      at = dict(zip(times, values))
      rows.append([at.get(moment, 0) for moment in moments])
    axes.stackplot(moments, rows, colors=colours, alpha=0.75,
                   labels=[legend for legend, _, _ in lines], linewidth=0)
  else:
    for (legend, times, values), colour in zip(lines, colours):
      axes.plot(times, values, color=colour, linewidth=1.1, label=legend)
  if 'scaleDistribution' in custom:
    axes.set_yscale('log')
    low, high = axes.get_ylim()
    # There is room for ten labels.
    axes.yaxis.set_major_locator(matplotlib.ticker.LogLocator(
        subs=(1, 2, 5) if high < 1000 * low else (1,)))
    axes.yaxis.set_minor_locator(matplotlib.ticker.NullLocator())
  else:
    low, high = axes.get_ylim()
    low = defaults.get('min', low)
    high = max((value for _, _, values in lines for value in values
                if math.isfinite(value)), default=1) if not stacked else high
    high = defaults.get('max', high)
    # A line along the upper edge would not be seen.
    axes.set_ylim(low, (high if high > low else low + 1) * 1.08)
  unit = defaults['unit']
  axes.yaxis.set_major_formatter(
      lambda value, position: with_unit(value, unit, narrow=True))
  if any(legend for legend, _, _ in lines):
    handles, names = axes.get_legend_handles_labels()
    if len(names) > 6:
      names[5] += f', and {len(names) - 6} more'
    # A column of the grid has room for 13 letters, a line's colour takes 8.
    fitting = 13 * panel['gridPos']['w'] // (8 + max(map(len, names[:6])))
    axes.legend(handles[:6], names[:6], loc='upper center',
                bbox_to_anchor=(0.5, -0.13), ncol=max(1, min(3, fitting)),
                fontsize=5.8, frameon=False, labelcolor=TEXT, handlelength=1.2,
                columnspacing=1.0, borderaxespad=0, labelspacing=0.25)
  if not lines:
    axes.text(0.5, 0.5, 'No data', transform=axes.transAxes, color='#8e8e8e',
              ha='center', fontsize=9)


def draw_heat_map(axes, panel, variables):
  bounds = {}
  for legend, times, values in series_of(panel['targets'][0], variables):
    bounds[float(legend.replace('+Inf', 'inf'))] = dict(zip(times, values))
  order = sorted(bounds)
  moments = sorted({moment for at in bounds.values() for moment in at})
  rows, below = [], {}
  for bound in order:
    at = bounds[bound]
    rows.append([max(0, at.get(moment, 0) - below.get(moment, 0))
                 for moment in moments])
    below = at
  used = [number for number, row in enumerate(rows) if any(row)]
  if not used:
    axes.text(0.5, 0.5, 'No data', transform=axes.transAxes, color='#8e8e8e',
              ha='center', fontsize=9)
    return
  first, last = max(0, used[0] - 1), min(len(rows), used[-1] + 2)
  rows, order = rows[first:last], order[first:last]
  shades = matplotlib.colors.LinearSegmentedColormap.from_list(
      'oranges', [PANEL, '#7a3b0c', '#ff780a', '#ffe0b0'])
  axes.pcolormesh(moments, range(len(rows)), rows, cmap=shades, shading='nearest',
                  norm=matplotlib.colors.PowerNorm(0.5, vmin=0))
  axes.set_yticks(range(len(rows)),
                  ['more' if math.isinf(bound) else f'≤ {with_unit(bound, "s")}'
                   for bound in order])


def draw_number(axes, panel, variables):
  axes.set_axis_off()
  defaults = panel['fieldConfig']['defaults']
  lines = series_of(panel['targets'][0], variables)
  for number, (legend, times, values) in enumerate(lines[:2]):
    value = values[-1]
    colour = TEXT
    for step in defaults['thresholds']['steps']:
      if step['value'] is None or value >= step['value']:
        colour = {'green': '#73bf69', 'orange': '#ff780a',
                  'red': '#f2495c'}[step['color']]
    axes.text(0.5, 0.5 - 0.3 * number, with_unit(value, defaults['unit']),
              transform=axes.transAxes, color=colour, fontsize=17,
              ha='center', va='center')
  if not lines:
    axes.text(0.5, 0.5, 'No data', transform=axes.transAxes, color='#8e8e8e',
              ha='center', fontsize=9)


def draw_table(axes, panel, variables):
  axes.set_axis_off()
  names = panel['transformations'][0]['options']['include']['names']
  rows = [[found['metric'].get(name, '')[:24] for name in names]
          for found in ask('query', time=options.end,
                           query=filled(panel['targets'][0]['expr'],
                                        variables))]
  widths = (0.15, 0.15, 0.3, 0.4)
  for height, row in enumerate([names, *rows]):
    x = 0
    for width, text in zip(widths, row):
      axes.text(x, 0.9 - 0.16 * height, text, transform=axes.transAxes,
                fontsize=7.5, color=TEXT if height else '#6e9fff')
      x += width


DRAWERS = {'timeseries': draw_lines, 'heatmap': draw_heat_map,
           'stat': draw_number, 'table': draw_table}


def with_repeats(panels, choices):
  """Panels from top to bottom, with those that are repeated for each value."""
  shift = 0
  for panel in panels:
    place = panel['gridPos']
    repeat = panel.get('repeat')
    if not repeat:
      yield panel, {}, place['x'], place['y'] + shift
      continue
    values = choices[repeat]
    for number, value in enumerate(values):
      yield (panel, {repeat: value},
             number % panel['maxPerRow'] * place['w'],
             place['y'] + shift + number // panel['maxPerRow'] * place['h'])
    shift += (len(values) - 1) // panel['maxPerRow'] * place['h']


def values_of(dashboard):
  """What each variable can be, such as the batch sizes that there are."""
  choices = {}
  for variable in dashboard['templating']['list']:
    match = re.fullmatch(r'label_values\((\w+), (\w+)\)',
                         variable.get('definition', ''))
    if match:
      values = {found['metric'].get(match[2], '')
                for found in ask('query', query=match[1], time=options.end)}
      choices[variable['name']] = sorted(
          values, key=lambda text: (not text.isdigit(), text.zfill(20)))
  return choices


def draw(dashboard):
  choices = values_of(dashboard)
  everything = {'__rate_interval': options.rate_interval,
                **{name: '.*' for name in choices}}
  places = list(with_repeats(dashboard['panels'], choices))
  height = max(y + (1 if panel['type'] == 'row' else panel['gridPos']['h'])
               for panel, _, _, y in places)
  figure = plt.figure(figsize=(24 * COLUMN, height * ROW + 0.5), dpi=100,
                      facecolor=BACKGROUND)
  full_width, full_height = 24 * COLUMN, height * ROW + 0.5
  figure.text(0.012, 1 - 0.3 / full_height, dashboard['title'], color=TEXT,
              fontsize=13, weight='bold')
  for panel, chosen, x, y in places:
    w, h = panel['gridPos']['w'], panel['gridPos']['h']
    if panel['type'] == 'row':
      figure.text(0.012, 1 - (y * ROW + 0.5 + 0.24) / full_height,
                  panel['title'], color=TEXT, fontsize=10)
      continue
    bottom = 1 - ((y + h) * ROW + 0.5) / full_height
    left = x / 24
    figure.add_artist(matplotlib.patches.Rectangle(
        (left + 0.003, bottom + 0.05 / full_height), w / 24 - 0.006,
        (h * ROW - 0.1) / full_height, facecolor=PANEL, edgecolor=FAINT,
        linewidth=0.6, transform=figure.transFigure, zorder=-1))
    axes = figure.add_axes(
        (left + 0.75 / full_width, bottom + min(0.62, h * ROW / 4) / full_height,
         w / 24 - 0.95 / full_width, (h * ROW - min(1.08, h * ROW / 2.2))
         / full_height),
        facecolor=PANEL)
    figure.text(left + 0.15 / full_width, bottom + (h * ROW - 0.3) / full_height,
                filled(panel['title'], {**everything, **chosen}), color=TEXT,
                fontsize=8)
    axes.tick_params(colors='#9a9ba1', labelsize=6.5, length=2)
    axes.grid(color=FAINT, linewidth=0.4)
    for spine in axes.spines.values():
      spine.set_color(FAINT)
    DRAWERS[panel['type']](axes, panel, {**everything, **chosen})
    if panel['type'] in ('timeseries', 'heatmap'):
      axes.set_xlim(datetime.datetime.fromtimestamp(
          options.end - options.seconds),
                    datetime.datetime.fromtimestamp(options.end))
      axes.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(5))
      axes.xaxis.set_major_formatter(matplotlib.dates.DateFormatter('%H:%M:%S'))
  figure.canvas.draw()
  size = tuple(round(side * figure.dpi) for side in figure.get_size_inches())
  pixels = PIL.Image.frombuffer('RGBA', size, figure.canvas.buffer_rgba())
  # 64 colours are enough, and make a third of the bytes.
  pixels.convert('RGB').quantize(64).save(options.out, optimize=True)


def main():
  global options
  parser = argparse.ArgumentParser(
      description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument('--prometheus', required=True, help='http://HOST:PORT')
  parser.add_argument('--dashboard', required=True, help='its JSON file')
  parser.add_argument('--out', required=True, help='the PNG file to write')
  parser.add_argument('--seconds', type=float, default=3600,
                      help='how far back it looks')
  parser.add_argument('--end', type=float, default=time.time(),
                      help='since 1970; default: now')
  parser.add_argument('--rate_interval', default='1m')
  options = parser.parse_args()
  with open(options.dashboard) as file:
    draw(json.load(file))


if __name__ == '__main__':
  main()
