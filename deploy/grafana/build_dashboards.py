"""Writes serving_dashboard.json and training_dashboard.json, which lie beside it.

A panel is a line or two here and fifty in a dashboard. After a change:

  python3 deploy/grafana/build_dashboards.py

With --check nothing is written, and the exit code is 1 if a file is not what
this program writes. Only Python's own library is needed.
"""

import json
import pathlib
import sys

FOLDER = pathlib.Path(__file__).resolve().parent
WIDTH = 24  # Of a dashboard, in Grafana's columns.
HEIGHT = 8  # Of a panel, in Grafana's rows.
DATASOURCE = {'type': 'prometheus', 'uid': '${datasource}'}

# In PromQL, the targets that the reader has chosen, and the range of a rate.
CHOSEN = 'instance=~"$instance"'
RANGE = '[$__rate_interval]'


def chosen(metric, labels):
  """The metric of the chosen instances."""
  matchers = [CHOSEN, *(f'{name}{match}' for name, match in labels.items())]
  return f'{metric}{{{",".join(matchers)}}}'


def rate(metric, by='', **labels):
  """sum by (by) (rate(metric)), of the chosen instances."""
  grouping = f'sum by ({by})' if by else 'sum'
  return f'{grouping} (rate({chosen(metric, labels)}{RANGE}))'


def quantile(of, metric, by='', **labels):
  by = f'{by}, le' if by else 'le'
  return (f'histogram_quantile({of}, '
          f'{rate(metric + "_bucket", by, **labels)})')


def quantiles(metric, by='', legend='', **labels):
  """Targets for p50 and p99."""
  return [(quantile(of, metric, by, **labels), f'{name} {legend}'.strip())
          for of, name in ((0.5, 'p50'), (0.99, 'p99'))]


def mean(metric, by='', **labels):
  return (f'{rate(metric + "_sum", by, **labels)}\n/\n'
          f'{rate(metric + "_count", by, **labels)}')


def gauge(metric, by='', operation='sum', **labels):
  grouping = f'{operation} by ({by})' if by else operation
  return f'{grouping} ({chosen(metric, labels)})'


def panel(kind, title, unit, targets, description='', width=8, **more):
  """A panel, but for id and place. Each target is (expression, legend)."""
  result = {
      'type': kind,
      'title': title,
      'description': description,
      'datasource': DATASOURCE,
      'targets': [{
          'datasource': DATASOURCE,
          'editorMode': 'code',
          'expr': expression,
          'legendFormat': legend,
          'refId': chr(ord('A') + number),
      } for number, (expression, legend) in enumerate(targets)],
      'fieldConfig': {'defaults': {'unit': unit}, 'overrides': []},
      'options': {},
      'gridPos': {'w': width, 'h': HEIGHT},
  }
  result.update(more)
  return result


def lines(title, unit, *targets, description='', width=8, stacked=False,
          logarithmic=False, largest=None):
  result = panel('timeseries', title, unit, targets, description, width)
  defaults = result['fieldConfig']['defaults']
  defaults['custom'] = {
      'fillOpacity': 30 if stacked else 5,
      'lineWidth': 1,
      'showPoints': 'never',
      'stacking': {'mode': 'normal' if stacked else 'none', 'group': 'A'},
  }
  if logarithmic:
    defaults['custom']['scaleDistribution'] = {'type': 'log', 'log': 10}
  else:
    defaults['min'] = 0
  if largest is not None:
    defaults['max'] = largest
  result['options'] = {
      'legend': {'displayMode': 'list', 'placement': 'bottom',
                 'showLegend': True},
      'tooltip': {'mode': 'multi', 'sort': 'desc'},
  }
  return result


def signed_lines(title, unit, *targets, **more):
  result = lines(title, unit, *targets, **more)
  result['fieldConfig']['defaults'].pop('min', None)
  return result


def heat_map(title, expression, description='', width=8, repeat=None):
  result = panel('heatmap', title, 's', [(expression, '{{le}}')], description,
                 width)
  result['targets'][0]['format'] = 'heatmap'
  result['options'] = {
      'calculate': False,
      'cellGap': 1,
      'color': {'mode': 'scheme', 'scheme': 'Oranges', 'steps': 64,
                'exponent': 0.5, 'fill': 'dark-orange'},
      'legend': {'show': True},
      'tooltip': {'show': True, 'yHistogram': True},
      'yAxis': {'unit': 's', 'axisPlacement': 'left'},
  }
  if repeat:
    result['repeat'] = repeat
    result['repeatDirection'] = 'h'
    result['maxPerRow'] = WIDTH // width
  return result


def number(title, unit, expression, legend='', description='', width=4,
           colours=(('green', None),)):
  """One number for each series; colours are (colour, from which value on)."""
  result = panel('stat', title, unit, [(expression, legend)], description,
                 width)
  result['gridPos']['h'] = HEIGHT // 2
  result['fieldConfig']['defaults']['thresholds'] = {
      'mode': 'absolute',
      'steps': [{'color': colour, 'value': value} for colour, value in colours],
  }
  result['options'] = {
      'colorMode': 'value',
      'graphMode': 'area',
      'reduceOptions': {'calcs': ['lastNotNull'], 'fields': '', 'values': False},
      'textMode': 'auto' if not legend else 'value_and_name',
  }
  return result


def table(title, expression, columns, description='', width=8):
  """The labels in `columns` of each series, as rows."""
  result = panel('table', title, 'none', [(expression, '')], description, width)
  result['targets'][0]['format'] = 'table'
  result['targets'][0]['instant'] = True
  result['transformations'] = [{
      'id': 'filterFieldsByName',
      'options': {'include': {'names': list(columns)}},
  }]
  return result


def row(title):
  return {'type': 'row', 'title': title, 'collapsed': False, 'panels': [],
          'gridPos': {'w': WIDTH, 'h': 1}}


def placed(panels):
  """The panels from left to right and from top to bottom, numbered."""
  x = y = height = 0
  for identity, each in enumerate(panels, start=1):
    place = each['gridPos']
    if x + place['w'] > WIDTH:
      x, y = 0, y + height
    each['id'] = identity
    place.update(x=x, y=y)
    height = place['h']  # As high as those beside it.
    # A panel that is repeated takes all of its row, and perhaps more.
    x += WIDTH if 'repeat' in each else place['w']
  return panels


def choice(name, label, metric, value_label):
  """A variable: any of the values that a label of a metric has."""
  query = f'label_values({metric}, {value_label})'
  return {
      'type': 'query',
      'name': name,
      'label': label,
      'datasource': DATASOURCE,
      'definition': query,
      'query': {'query': query, 'refId': 'StandardVariableQuery'},
      'refresh': 2,
      'sort': 3,
      'multi': True,
      'includeAll': True,
      'allValue': '.*',
      'current': {'text': ['All'], 'value': ['$__all'], 'selected': True},
  }


def dashboard(uid, title, description, choices, panels):
  source = {
      'type': 'datasource',
      'name': 'datasource',
      'label': 'Prometheus',
      'query': 'prometheus',
      'refresh': 1,
  }
  return {
      'uid': uid,
      'title': title,
      'description': description,
      'tags': ['ddgan'],
      'schemaVersion': 38,
      'version': 1,
      'editable': True,
      'graphTooltip': 1,
      'refresh': '30s',
      'time': {'from': 'now-1h', 'to': 'now'},
      'timezone': 'browser',
      'templating': {'list': [source, *choices]},
      'annotations': {'list': []},
      'links': [],
      'panels': placed(panels),
  }


def serving():
  steps = 'ddgan_step_duration_seconds'
  in_cells = {'step': '=~"$step"', 'batch_bucket': '=~"$batch_bucket"'}
  return dashboard(
      'ddgan-serving', 'DDGAN serving', 'ddgan-server: load, latency, devices '
      'and versions.',
      [choice('instance', 'Server', 'ddgan_build_info', 'instance'),
       choice('step', 'Step (t)', steps + '_count', 'step'),
       choice('batch_bucket', 'Batch size up to', steps + '_count',
              'batch_bucket')],
      [
          row('Now'),
          number('Servers that answer', 'none',
                 f'sum (up{{job="ddgan-server",{CHOSEN}}})',
                 colours=(('red', None), ('green', 1))),
          number('Images', 'suffix: /s', rate('ddgan_images_total')),
          number('Calls that fail', 'percentunit',
                 'max (job:ddgan_requests_failed:ratio_rate5m)',
                 description='Of those that the server could answer, over 5 '
                 'minutes. The promise is 99.9 %.',
                 colours=(('green', None), ('orange', 0.001), ('red', 0.0144))),
          number('Generate calls over 5 s', 'percentunit',
                 'max (job:ddgan_requests_slow:ratio_rate5m)',
                 description='Over 5 minutes. The promise is 99 % within 5 s.',
                 colours=(('green', None), ('orange', 0.01), ('red', 0.144))),
          number('Oldest image in the queue', 's',
                 gauge('ddgan_queue_oldest_age_seconds', operation='max',
                       **{'class': '="interactive"'}),
                 description='Of interactive calls.',
                 colours=(('green', None), ('orange', 10), ('red', 30))),
          number('Devices that are out', 'none',
                 f'count (ddgan_device_healthy{{{CHOSEN}}} == 0) or vector(0)',
                 colours=(('green', None), ('red', 1))),

          row('Calls'),
          lines('Throughput', 'suffix: images/s',
                (rate('ddgan_images_total', 'model, version'),
                 '{{model}} {{version}}'), stacked=True),
          lines('Calls by outcome', 'reqps',
                (rate('ddgan_requests_total', 'code'), '{{code}}'),
                stacked=True),
          lines('Latency of calls that got their images', 's',
                *quantiles('ddgan_request_duration_seconds', 'method',
                           '{{method}}', code='="OK"'),
                description='From arrival to end. A streamed call ends when '
                'its reader has read it.', logarithmic=True),
          lines('Errors by code', 'reqps',
                (rate('ddgan_requests_total', 'code', code='!="OK"'),
                 '{{code}}')),
          lines('Refused for lack of room or time, by reason', 'reqps',
                (rate('ddgan_rejected_total', 'reason'), '{{reason}}')),
          lines('Previews', 's',
                *quantiles('ddgan_time_to_first_preview_seconds'),
                description='From a streamed call\'s arrival until its first '
                'preview is written.'),

          row('Queue'),
          lines('Age of the oldest image that waits', 's',
                (gauge('ddgan_queue_oldest_age_seconds', 'instance, class',
                       'max'), '{{instance}} {{class}}')),
          lines('Time in the queue', 's',
                *quantiles('ddgan_queue_duration_seconds', 'model',
                           '{{model}}'), logarithmic=True,
                description='From acceptance to the first denoising step.'),
          lines('Images in the engine', 'none',
                (gauge('ddgan_queue_depth'), 'waiting'),
                (gauge('ddgan_inflight_images'), 'between first and last step'),
                stacked=True),

          row('Steps'),
          heat_map('Time of a step, batches of up to $batch_bucket',
                   rate(steps + '_bucket', 'le', **in_cells),
                   'Device time of one generator call, of the steps chosen '
                   'above; a panel for each batch size.', repeat='batch_bucket'),
          lines('Mean time of a step, by step and batch size', 's',
                (mean(steps, 'step, batch_bucket', **in_cells),
                 't {{step}}, up to {{batch_bucket}}'), logarithmic=True,
                width=12),
          lines('Steps by batch size', 'suffix: /s',
                (rate(steps + '_count', 'batch_bucket'),
                 'up to {{batch_bucket}}'), stacked=True, width=12),

          row('Devices'),
          lines('Lane use', 'percentunit',
                (rate(steps + '_sum', 'instance, device'),
                 '{{instance}} {{device}}'), largest=1,
                description='The share of its time in which a lane computes.'),
          lines('Images in a generator call', 'none',
                (mean('ddgan_step_batch_size', 'device'), '{{device}}'),
                (gauge('ddgan_device_batch_limit_images', 'device', 'min'),
                 '{{device}}, limit after out of memory'),
                description='The mean. More is better where the device gains '
                'from larger batches.'),
          lines('Memory that the engine holds', 'bytes',
                (gauge('ddgan_device_memory_bytes', 'instance, device'),
                 '{{instance}} {{device}}')),
          lines('Wasted steps, as a share of all', 'percentunit',
                (f'{rate("ddgan_wasted_steps_total", "reason")}\n'
                 f'/ on () group_left ()\n{rate("ddgan_step_batch_size_sum")}',
                 '{{reason}}'), stacked=True,
                description='Work that nobody received: calls taken back, '
                'deadlines passed, devices lost.'),
          lines('Time to encode a PNG', 's',
                *quantiles('ddgan_encode_duration_seconds')),
          lines('Devices that work', 'none',
                (gauge('ddgan_device_healthy', 'instance, device', 'min'),
                 '{{instance}} {{device}}'), largest=1),

          row('Images that are kept (--image_cache_mib)'),
          lines('Images asked for, by where they come from', 'suffix: /s',
                (rate('ddgan_image_cache_images_total', 'result'),
                 '{{result}}'), stacked=True, width=12,
                description='hit: kept before; coalesced: on its way for '
                'another call; miss: made.'),
          lines('Memory of the images that are kept', 'bytes',
                (gauge('ddgan_image_cache_bytes', 'instance'),
                 '{{instance}}'), width=6),
          lines('Images that made room for newer ones', 'suffix: /s',
                (rate('ddgan_image_cache_evictions_total', 'instance'),
                 '{{instance}}'), width=6,
                description='Many, and few hits: seeds do not come again, or '
                'there is too little memory for those that do.'),

          row('Versions'),
          table('Live versions', f'ddgan_model_info{{{CHOSEN}}}',
                ('model', 'version', 'instance', 'digest'), width=12),
          lines('Time since the live version was loaded', 's',
                ('time() - max by (instance, model) (ddgan_model_loaded_'
                 f'timestamp_seconds{{{CHOSEN}}})', '{{model}} {{instance}}'),
                width=6),
          lines('Refused and pinned versions', 'none',
                (gauge('ddgan_versions_refused', 'model, reason', 'max'),
                 '{{model}}: {{reason}}'),
                (f'count by (model) (ddgan_model_pinned_version{{{CHOSEN}}})',
                 '{{model}}: servers with a pin'), width=6),
          lines('Loads by result', 'none',
                (f'sum by (model, result) (increase('
                 f'ddgan_reloads_total{{{CHOSEN}}}{RANGE}))',
                 '{{model}} {{result}}'), stacked=True, width=12),
          lines('Mean time of a load, by phase', 's',
                (mean('ddgan_reload_duration_seconds', 'phase'), '{{phase}}'),
                width=12),

          row('Certificates, tokens and connections'),
          lines('Time until the certificate expires', 's',
                ('min by (instance) (ddgan_tls_certificate_expiry_timestamp_'
                 f'seconds{{{CHOSEN}}}) - time()', '{{instance}}'), width=6),
          lines('Certificates and tokens taken and refused', 'none',
                *((f'sum by (result) (increase(ddgan_{files}_reloads_total'
                   f'{{{CHOSEN}}}{RANGE}))', f'{files} {{{{result}}}}')
                  for files in ('tls', 'token')), width=6),
          lines('Connections', 'none',
                (gauge('ddgan_connections', 'instance'), '{{instance}}'),
                (rate('ddgan_connections_refused_total', 'reason'),
                 'refused per second: {{reason}}'), width=6),
          lines('Bytes of replies that are not read yet', 'bytes',
                (gauge('ddgan_reply_bytes', 'instance'), '{{instance}}'),
                width=6),
          lines('Files on disk that are refused', 'none',
                (gauge('ddgan_security_files_refused', 'instance, files', 'max'),
                 '{{files}} {{instance}}'), width=6, largest=1,
                description='While it is 1, the certificate or the tokens of '
                'before are in force.'),
          lines('Calls without the right token, by reason', 'reqps',
                (rate('ddgan_access_denied_total', 'reason'), '{{reason}}'),
                width=6),
          lines('Replies that are not read in time', 'suffix: /s',
                (rate('ddgan_write_timeouts_total', 'what'), '{{what}}'),
                width=6, description='Calls that are ended, and connections '
                'that are cut, since their peer does not read.'),
          lines('Log lines that are lost', 'suffix: /s',
                (rate('ddgan_log_lines_lost_total', 'instance'),
                 '{{instance}}'),
                (rate('ddgan_access_log_lines_lost_total', 'instance'),
                 'access log, too many at a time: {{instance}}'), width=6,
                description='Whoever reads the log is gone or too slow, or '
                'its disk is full.'),
          lines('Requests that do not come in whole, by reason', 'suffix: /s',
                (rate('ddgan_requests_not_received_total', 'reason'),
                 '{{reason}}'), width=6,
                description='Their senders are too slow, or too many at a '
                'time.'),
          lines('Spans of traces, by what became of them', 'suffix: /s',
                (rate('ddgan_trace_spans_total', 'result'), '{{result}}'),
                width=6, description='With --otlp_endpoint only. failed: the '
                'collector takes none; queue_full: too many wait for it.'),
      ])


def training():
  def of(metric, legend='{{instance}}', by='instance', operation='max'):
    return gauge(metric, by, operation), legend

  def by_network(metric):
    return of(metric, '{{network}} {{instance}}', 'instance, network')

  steps = 'ddgan_training_step_duration_seconds'
  return dashboard(
      'ddgan-training', 'DDGAN training',
      'ddgan-train: progress, losses and published versions.',
      [choice('instance', 'Run', 'ddgan_training_build_info', 'instance')],
      [
          row('Now'),
          number('Done', 'percentunit',
                 f'max by (instance) (ddgan_training_step{{{CHOSEN}}} / '
                 f'ddgan_training_last_step{{{CHOSEN}}})', '{{instance}}'),
          number('Step', 'none', *of('ddgan_training_step')),
          number('Time left', 's',
                 *of('instance:ddgan_training_remaining:seconds')),
          number('Images', 'suffix: /s',
                 rate('ddgan_training_images_total', 'instance'),
                 '{{instance}}'),
          number('Last published version', 'none',
                 *of('ddgan_training_last_published_version')),
          number('Age of the last version', 's',
                 'time() - max by (instance) (ddgan_training_last_published_'
                 f'timestamp_seconds{{{CHOSEN}}})', '{{instance}}'),

          row('Learning'),
          signed_lines('Losses', 'none', by_network('ddgan_training_loss')),
          lines('R1 penalty', 'none', of('ddgan_training_r1_penalty'),
                logarithmic=True),
          lines('Gradient norms', 'none',
                by_network('ddgan_training_gradient_norm'), logarithmic=True),
          lines('Learning rates', 'none',
                by_network('ddgan_training_learning_rate')),
          lines('Distance of the average from the generator', 'percentunit',
                of('ddgan_training_ema_distance_ratio'),
                description='L2, as a share of the norm of the weights.'),
          lines('Published versions by result', 'none',
                ('sum by (instance, result) (ddgan_training_published_versions_'
                 f'total{{{CHOSEN}}})', '{{result}} {{instance}}')),

          row('Speed'),
          lines('Throughput', 'suffix: images/s',
                (rate('ddgan_training_images_total', 'instance'),
                 '{{instance}}')),
          heat_map('Time of a step', rate(steps + '_bucket', 'le'),
                   'Waiting for data counted in.'),
          lines('Time of a step', 's',
                *quantiles(steps, 'instance', '{{instance}}'),
                logarithmic=True),
          lines('Share of the time spent waiting', 'percentunit',
                (rate('ddgan_training_data_wait_seconds_total', 'instance'),
                 'for data: {{instance}}'),
                (rate('ddgan_training_gradient_wait_seconds_total', 'instance'),
                 'for other processes: {{instance}}'), largest=1,
                description='For other processes: for the sums of gradients, '
                'after backward.'),
          lines('Damaged images', 'none',
                of('ddgan_training_damaged_images_total')),
          lines('Mean time to save the state', 's',
                (mean('ddgan_training_state_save_duration_seconds', 'instance'),
                 '{{instance}}')),
      ])


def main():
  check = sys.argv[1:] == ['--check']
  if sys.argv[1:] and not check:
    sys.exit(__doc__)
  outdated = []
  for name, content in (('serving', serving()), ('training', training())):
    path = FOLDER / f'{name}_dashboard.json'
    text = json.dumps(content, indent=2, ensure_ascii=False) + '\n'
    if not check:
      path.write_text(text)
    elif path.read_text() != text:
      outdated.append(str(path))
  if outdated:
    sys.exit(f'not what build_dashboards.py writes: {", ".join(outdated)}')


if __name__ == '__main__':
  main()
